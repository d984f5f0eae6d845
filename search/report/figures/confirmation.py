"""Candidates retrained with fresh seeds: every seed, their mean and its interval."""

from __future__ import annotations

from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import StudyRecord
from search.report import theme, wording
from search.report.confirmed import confirmed
from search.report.figures._base import Figure, Section


class Row(NamedTuple):
    """One confirmed candidate; ``margin`` is half the 95 % interval of the mean, None for a single seed."""

    number: int
    searched: float | None
    folds: int
    values: tuple[float, ...]
    mean: float
    margin: float | None


class Rows(NamedTuple):
    """Confirmed candidates, the best mean first; results on folds after those on the study's own validation images."""

    metric: str
    candidates: tuple[Row, ...]


class Confirmation(Figure):
    """Whether the winner holds up with fresh seeds."""

    name, title, order, section = "confirmation", "Confirmed with fresh seeds", 25, Section.PROGRESS
    how_to_read = (
        "Points are fresh seeds, the bar the 95 % interval of their mean, the cross what the search saw: "
        "a search picks lucky trials, so expect it above."
    )

    def rows(self, study: StudyRecord) -> Rows | None:
        candidates = [
            Row(row.number, row.searched, row.folds, row.values, row.mean, row.margin)
            for row in confirmed(study, fraction=1.0)
        ]
        return Rows(study.metric, tuple(candidates)) if candidates else None

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No candidate has been trained again with fresh seeds yet.")
        labels = [_label(row) for row in rows.candidates]
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
            y=[_label(row) for row in rows.candidates for _ in row.values],
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
        figure = theme.styled(figure, height=140 + 34 * len(labels), x=wording.metric_name(rows.metric))
        figure.update_yaxes(type="category", autorange="reversed")
        return figure


def _label(row: Row) -> str:
    return f"trial {row.number}" + (f", {row.folds} folds" if row.folds > 1 else "")


figure = Confirmation()
