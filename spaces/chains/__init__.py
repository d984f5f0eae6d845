"""Pretrained networks as ordered lists of units: traced, cut, probed."""
