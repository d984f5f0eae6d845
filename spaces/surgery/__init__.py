"""Edits of pretrained layers that keep, or nearly keep, what they compute."""
