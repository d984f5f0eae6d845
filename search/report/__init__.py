"""Renders records as HTML; no torch."""
