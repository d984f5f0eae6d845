"""A finished model: its folder and card, how inputs are prepared, predictions and drawings."""
