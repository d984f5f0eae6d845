"""Data formats, one per file."""

from __future__ import annotations

from search.data.formats._base import Format
from spaces.plugins import load


def formats() -> dict[str, Format]:
    """Return every data format by name."""
    return load("search.data.formats", "format", "ftsearch.formats")
