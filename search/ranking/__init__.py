"""Backbones scored before anything is trained."""
