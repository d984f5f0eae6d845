"""Candidates retrained with fresh seeds: every seed, their mean and its interval."""

from __future__ import annotations

from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import StudyRecord
from search.report import theme, wording
from search.report.confirmed import confirmed
from search.report.figures._base import Figure, Section

_APART = 0.24
"""Between a candidate's mean and its seeds, which are drawn below, in the distance of two candidates."""


class Row(NamedTuple):
    """One confirmed candidate; ``margin`` is half the 95 % interval of the mean, None for fewer than three seeds."""

    number: int
    searched: float | None
    folds: int
    values: tuple[float, ...]
    mean: float
    margin: float | None
    is_baseline: bool


class Rows(NamedTuple):
    """Confirmed candidates, the best mean first; results on folds after those on the study's own validation images."""

    metric: str
    candidates: tuple[Row, ...]


class Confirmation(Figure):
    """Whether the winner holds up with fresh seeds."""

    name, title, order, section = "confirmation", "Confirmed with fresh seeds", 25, Section.PROGRESS
    how_to_read = (
        "Points are trainings with fresh seeds, the cross what the search saw: a search picks lucky trials, so expect "
        "it above."
    )

    def is_for(self, study: StudyRecord) -> bool:
        return bool(study.repeats)

    def rows(self, study: StudyRecord) -> Rows | None:
        candidates = [
            Row(row.number, row.searched, row.folds, row.values, row.mean, row.margin, row.is_baseline)
            for row in confirmed(study, fraction=1.0)
        ]
        return Rows(study.metric, tuple(candidates)) if candidates else None

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No candidate has been trained again with fresh seeds yet.")
        middles = [place - _APART for place in range(len(rows.candidates))]
        known = [(row, y) for row, y in zip(rows.candidates, middles, strict=True) if row.margin is not None]
        figure = go.Figure()
        if known:
            figure.add_scatter(
                x=[row.mean for row, _ in known],
                y=[y for _, y in known],
                error_x={"type": "data", "array": [row.margin for row, _ in known], "color": theme.BLUE},
                mode="markers",
                marker={"color": theme.BLUE, "size": 1},
                name="95 % interval of the mean",
                hoverinfo="skip",
            )
        figure.add_scatter(
            x=[row.mean for row in rows.candidates],
            y=middles,
            mode="markers",
            marker={"color": theme.BLUE, "size": 11, "symbol": "diamond"},
            name="mean of the seeds",
            hovertemplate="mean %{x:.4f}<extra></extra>",
        )
        figure.add_scatter(
            x=[row.searched for row in rows.candidates],
            y=middles,
            mode="markers",
            marker={"color": theme.PURPLE, "size": 12, "symbol": "x-thin-open", "line": {"width": 3}},
            name="in the search",
            hovertemplate="in the search %{x:.4f}<extra></extra>",
        )
        seeds = [seed for place, row in enumerate(rows.candidates) for seed in _seeds(place, row)]
        figure.add_scatter(
            x=[value for value, _ in seeds],
            y=[y for _, y in seeds],
            mode="markers",
            marker={"color": theme.SKY, "size": 7},
            name="one seed",
            hovertemplate="one seed %{x:.4f}<extra></extra>",
        )
        count = len(rows.candidates)
        figure = theme.styled(figure, height=140 + 46 * count, x=wording.metric_name(rows.metric))
        figure.update_yaxes(
            tickvals=list(range(count)), ticktext=[_label(row) for row in rows.candidates], range=[count - 0.5, -0.5]
        )
        return figure


def _seeds(place: int, row: Row) -> list[tuple[float, float]]:
    """Return the seeds' values and heights, below the candidate's mean: equal ones would cover each other."""
    step = _APART / max(len(row.values) - 1, 1)
    return [(value, place + _APART / 2 + step * index) for index, value in enumerate(row.values)]


def _label(row: Row) -> str:
    name = "plain recipe" if row.is_baseline else f"trial {row.number}"
    return name + (f", {row.folds} folds" if row.folds > 1 else "")


figure = Confirmation()
