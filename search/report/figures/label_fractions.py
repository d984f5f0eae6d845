"""Candidates trained with fewer labels: the objective over the number of training images."""

from __future__ import annotations

from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import StudyRecord
from search.report import theme, wording
from search.report.confirmed import confirmed
from search.report.figures._base import Figure, Section


class Point(NamedTuple):
    """The mean over fresh seeds for one number of training images."""

    fraction: float
    images: float | None
    mean: float
    margin: float | None


class Rows(NamedTuple):
    """One curve per candidate, the best with the most labels first; points from few samples to many."""

    metric: str
    curves: tuple[tuple[int, bool, tuple[Point, ...]], ...]
    noun: str


class LabelFractions(Figure):
    """Whether more labels would help."""

    name, title, order, section = "label_fractions", "With fewer labels", 27, Section.PROGRESS
    how_to_read = (
        "Every point is a mean over fresh seeds, each with its own draw of the labels, with its 95 % interval. A curve "
        "that still rises at its right end would gain from more labelled samples."
    )

    def is_for(self, study: StudyRecord) -> bool:
        return any(repeat.fraction != 1 for repeat in study.repeats)

    def rows(self, study: StudyRecord) -> Rows | None:
        by_candidate: dict[int, list[Point]] = {}
        plain = set()
        for row in confirmed(study, folds=1):
            by_candidate.setdefault(row.number, []).append(Point(row.fraction, row.images, row.mean, row.margin))
            plain |= {row.number} if row.is_baseline else set()
        if len({point.fraction for points in by_candidate.values() for point in points}) < 2:
            return None
        curves = ((number, number in plain, tuple(reversed(points))) for number, points in by_candidate.items())
        return Rows(study.metric, tuple(curves), study.dataset.noun)

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No candidate has been trained on a share of the labels yet (confirm --fractions).")
        figure = go.Figure()
        for index, (number, is_plain, points) in enumerate(rows.curves):
            figure.add_scatter(
                x=[point.fraction if point.images is None else point.images for point in points],
                y=[point.mean for point in points],
                error_y={"type": "data", "array": [point.margin or 0.0 for point in points]},
                mode="lines+markers",
                line=theme.series(index),
                name="plain recipe" if is_plain else f"trial {number}",
            )
        figure = theme.styled(figure, x=f"training {rows.noun}", y=wording.metric_name(rows.metric))
        figure.update_xaxes(type="log")
        return figure


figure = LabelFractions()
