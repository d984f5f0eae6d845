"""The winner of every study against its cost, on the same axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import StudyRecord
from search.report import theme, wording
from search.report.figures._base import Section, StudiesFigure

_COSTS = (
    ("parameters", "parameters of the winner"),
    ("FLOPs", "FLOPs of the winner's forward pass"),
    ("search time", "device time of the study, minutes"),
)

_LEGEND_ROW = 21
"""Pixels that a study takes in the legend, which on a telephone has a row for each."""


class Row(NamedTuple):
    """One study's winner and its plain recipe; ``costs`` are parameters, FLOPs and minutes of search."""

    study: str
    metric: str
    value: float
    costs: tuple[float | None, float | None, float]
    plain: float | None
    plain_costs: tuple[float | None, float | None]


class Rows(NamedTuple):
    """Studies with a complete trial."""

    studies: tuple[Row, ...]


class BestCost(StudiesFigure):
    """The cost of each study's winner: to store, to run and to find."""

    name, title, order, section = "best_cost", "Winners against their cost", 204, Section.COST
    how_to_read = "A point is a study's winner; the square joined to it is the plain recipe of the same study."

    def rows(self, studies: Sequence[StudyRecord]) -> Rows | None:
        winners = []
        for study in studies:
            best, plain = study.best, study.baseline
            if best is None or best.value is None:
                continue
            size = (float(best.size.parameters), float(best.size.flops)) if best.size else (None, None)
            spent = sum(trial.seconds for trial in study.trials) / 60
            before = (float(plain.size.parameters), float(plain.size.flops)) if plain and plain.size else (None, None)
            value = plain.value if plain else None
            winners.append(Row(study.name, study.metric, best.value, (*size, spent), value, before))
        return Rows(tuple(winners)) if winners else None

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No study has a complete trial yet.")
        figure, axes = go.Figure(), []
        for index, row in enumerate(rows.studies):
            joined = row.plain is not None and None not in row.plain_costs
            axes.append([_x(row, axis, joined=joined) for axis in range(len(_COSTS))])
            figure.add_scatter(
                x=axes[-1][0],
                y=[row.value, row.plain] if joined else [row.value],
                mode="lines+markers",
                name=row.study,
                line={**theme.series(index), "width": 1},
                marker={"size": [14, 9][: 1 + joined], "symbol": ["circle", "square-open"][: 1 + joined]},
                hovertemplate=f"{theme.wrapped(row.study)}: %{{y:.4f}}, %{{x:.4s}}<extra></extra>",
            )
        metrics = sorted({wording.metric_name(row.metric) for row in rows.studies})
        views = [
            (label, {"x": [xs[axis] for xs in axes]}, {"xaxis.title.text": title, "xaxis.autorange": True})
            for axis, (label, title) in enumerate(_COSTS)
        ]
        figure = theme.styled(figure, x=_COSTS[0][1], y=" / ".join(metrics))
        legend = _LEGEND_ROW * len(rows.studies)
        # Plotly gives a legend half of the height at most.
        figure.layout.height = max(figure.layout.height + legend, 2 * legend)
        return theme.menu(figure, views)


def _x(row: Row, axis: int, *, joined: bool) -> list[float | None]:
    if not joined:
        return [row.costs[axis]]
    return [row.costs[axis], row.plain_costs[axis] if axis < len(row.plain_costs) else None]


figure = BestCost()
