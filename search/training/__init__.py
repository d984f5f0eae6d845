"""Trains one candidate."""
