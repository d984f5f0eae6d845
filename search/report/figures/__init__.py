"""Figures, one a file."""

from __future__ import annotations

from search.report.figures._base import Figure
from spaces.plugins import load


def figures() -> list[Figure]:
    """Return every figure in the order of a report."""
    found: dict[str, Figure] = load("search.report.figures", "figure", "ftsearch.figures")
    return sorted(found.values(), key=lambda figure: (figure.order, figure.name))
