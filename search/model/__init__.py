"""A finished model: its folder and card, input preparation, predictions and drawings."""
