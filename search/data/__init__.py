"""Reads, decodes, splits, augments and batches data."""
