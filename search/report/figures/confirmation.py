"""Candidates that were trained again with fresh seeds: every seed, the mean and its interval."""

from __future__ import annotations

import math
from statistics import mean, stdev
from typing import NamedTuple

import plotly.graph_objects as go

from search.records import StudyRecord
from search.report import theme
from search.report.figures._base import Figure, Section

VALUES = "confirmed"
"""Key of ``TrialRecord.extras``: the objective of each fresh seed, a list of numbers."""
_T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)
"""Student's t for a 95 % interval with 1, 2, ... degrees of freedom."""


class Row(NamedTuple):
    """One confirmed candidate; ``margin`` is half the 95 % interval of the mean, None for a single seed."""

    number: int
    searched: float | None
    values: tuple[float, ...]
    mean: float
    margin: float | None


class Rows(NamedTuple):
    """Confirmed candidates, the best mean first."""

    metric: str
    candidates: tuple[Row, ...]


class Confirmation(Figure):
    """Whether the winner is real."""

    name, title, order, section = "confirmation", "Confirmed with fresh seeds", 25, Section.PROGRESS
    how_to_read = (
        "Points are fresh seeds, the bar the 95 % interval of their mean, the cross what the search saw: "
        "a search picks lucky trials, so expect it above."
    )

    def rows(self, study: StudyRecord) -> Rows | None:
        found = []
        for trial in study.trials:
            raw = trial.extras.get(VALUES)
            values = (
                tuple(float(value) for value in raw if theme.finite(value)) if isinstance(raw, list | tuple) else ()
            )
            if values:
                found.append(Row(trial.number, trial.value, values, mean(values), _margin(values)))
        found.sort(key=lambda row: -row.mean if study.maximize else row.mean)
        return Rows(study.metric, tuple(found)) if found else None

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No candidate has been trained again with fresh seeds yet.")
        labels = [f"trial {row.number}" for row in rows.candidates]
        figure = go.Figure(
            go.Scatter(
                x=[row.mean for row in rows.candidates],
                y=labels,
                error_x={"type": "data", "array": [row.margin or 0.0 for row in rows.candidates], "color": theme.BLUE},
                mode="markers",
                marker={"color": theme.BLUE, "size": 11, "symbol": "diamond"},
                name="mean of the seeds",
            )
        )
        figure.add_scatter(
            x=[value for row in rows.candidates for value in row.values],
            y=[f"trial {row.number}" for row in rows.candidates for _ in row.values],
            mode="markers",
            marker={"color": theme.SKY, "size": 7},
            name="one seed",
        )
        figure.add_scatter(
            x=[row.searched for row in rows.candidates],
            y=labels,
            mode="markers",
            marker={"color": theme.RED, "size": 10, "symbol": "x"},
            name="in the search",
        )
        figure = theme.styled(figure, height=140 + 34 * len(labels), x=theme.metric_name(rows.metric))
        figure.update_yaxes(type="category", autorange="reversed")
        return figure


def _margin(values: tuple[float, ...]) -> float | None:
    if len(values) < 2:
        return None
    degrees = len(values) - 1
    return (_T95[degrees - 1] if degrees <= len(_T95) else 1.96) * stdev(values) / math.sqrt(len(values))


figure = Confirmation()
