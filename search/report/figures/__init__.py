"""Figures, one per file."""

from __future__ import annotations

from search.report.figures._base import Drawing, Figure, RankingFigure, StudiesFigure, TrialsFigure
from spaces.plugins import load


def figures() -> list[Figure]:
    """Return every figure of a single study in the order of a report."""
    return [figure for figure in _found() if isinstance(figure, Figure)]


def studies_figures() -> list[StudiesFigure]:
    """Return every figure that compares studies."""
    return [figure for figure in _found() if isinstance(figure, StudiesFigure)]


def trials_figures() -> list[TrialsFigure]:
    """Return every figure that compares chosen trials side by side."""
    return [figure for figure in _found() if isinstance(figure, TrialsFigure)]


def ranking_figures() -> list[RankingFigure]:
    """Return every figure of backbones scored without training."""
    return [figure for figure in _found() if isinstance(figure, RankingFigure)]


def _found() -> list[Drawing]:
    drawings: dict[str, Drawing] = load("search.report.figures", "figure", "ftsearch.figures")
    return sorted(drawings.values(), key=lambda figure: (figure.order, figure.name))
