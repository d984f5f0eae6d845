"""Decoders turn feature maps into a prediction for every pixel; one per file."""

from __future__ import annotations

from spaces.decoders._base import Decoder
from spaces.plugins import load


def decoders() -> dict[str, Decoder]:
    """Return every decoder by name."""
    loaded: dict[str, Decoder] = load("spaces.decoders", "decoder", "ftsearch.decoders")
    return loaded
