"""Ranks backbones before anything is trained."""
