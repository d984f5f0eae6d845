"""The metric by freeze depth and tail drop, with the number of trials in each cell."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import StudyRecord, TrialState
from search.report import theme, wording
from search.report.figures._base import Figure, Section

_BINS = 8


class Cell(NamedTuple):
    """All trials of one range of freeze depths and one of tail drops."""

    freeze: int
    tail: int
    trials: int
    best: float
    mean: float


class Rows(NamedTuple):
    """Cells with their axes; bins are named by their range of units."""

    metric: str
    freeze_bins: tuple[str, ...]
    tail_bins: tuple[str, ...]
    cells: tuple[Cell, ...]


class FreezeTail(Figure):
    """How deep to freeze, and how much to drop."""

    name, title, order, section = "freeze_tail", "Freeze depth and tail drop", 40, Section.STRUCTURE
    least_width = 560
    how_to_read = (
        "Colour and upper number are the best value in a cell, the lower number counts its trials (pruned ones too)."
    )

    def rows(self, study: StudyRecord) -> Rows | None:
        points = []
        for trial in study.trials:
            choices = ((trial.candidate or {}).get("structure") or {}).get("choices") or {}
            freeze = choices.get("freeze", trial.params.get("freeze"))
            tail = choices.get("tail", trial.params.get("tail", 0))
            counted = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
            if (
                counted
                and trial.value is not None
                and wording.finite(trial.value)
                and isinstance(freeze, int)
                and isinstance(tail, int)
                and min(freeze, tail) >= 0
            ):
                points.append((freeze, tail, trial.value))
        if not points:
            return None
        freeze_width = _width(max(point[0] for point in points))
        tail_width = _width(max(point[1] for point in points))
        groups: dict[tuple[int, int], list[float]] = defaultdict(list)
        for freeze, tail, value in points:
            groups[freeze // freeze_width, tail // tail_width].append(value)
        best = max if study.maximize else min
        cells = tuple(
            Cell(freeze, tail, len(values), best(values), sum(values) / len(values))
            for (freeze, tail), values in sorted(groups.items())
        )
        return Rows(
            study.metric,
            _names(max(cell.freeze for cell in cells), freeze_width, len(study.units)),
            _names(max(cell.tail for cell in cells), tail_width, len(study.units)),
            cells,
        )

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No trial has a value yet, or neither freeze depth nor tail drop was searched.")
        values: list[list[float | None]] = [[None] * len(rows.freeze_bins) for _ in rows.tail_bins]
        texts = [[""] * len(rows.freeze_bins) for _ in rows.tail_bins]
        for cell in rows.cells:
            values[cell.tail][cell.freeze] = cell.best
            texts[cell.tail][cell.freeze] = f"{cell.best:.3f}<br>n={cell.trials}"
        figure = go.Figure(
            go.Heatmap(
                z=values,
                x=list(rows.freeze_bins),
                y=list(rows.tail_bins),
                text=texts,
                texttemplate="%{text}",
                colorscale=theme.SCALE,
                xgap=2,
                ygap=2,
                hovertemplate="frozen %{x}, dropped %{y}<br>best %{z:.4f}<extra></extra>",
                colorbar={"title": {"text": wording.metric_name(rows.metric)}, "thickness": 12},
            )
        )
        figure = theme.styled(
            figure, height=160 + 46 * len(rows.tail_bins), x="first units frozen", y="last units dropped"
        )
        figure.update_xaxes(type="category", showgrid=False)
        figure.update_yaxes(type="category", showgrid=False)
        return figure


def _width(most: int) -> int:
    return max(-(-(most + 1) // _BINS), 1)


def _names(last: int, width: int, units: int) -> tuple[str, ...]:
    """Return what the intervals up to the ``last`` are called; a network of several backbones has no ``units``."""
    spans = [(index * width, index * width + width - 1) for index in range(last + 1)]
    spans = [(low, max(low, min(high, units or high))) for low, high in spans]
    return tuple(str(low) if low == high else f"{low}–{high}" for low, high in spans)


figure = FreezeTail()
