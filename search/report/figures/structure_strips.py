"""One row per trial, one cell per unit: what was frozen, trained, edited or dropped, the best on top."""

from __future__ import annotations

from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import StudyRecord, UnitRecord
from search.report import theme, wording
from search.report.figures._base import Figure, Need, Section
from search.report.figures._strips import strips

_MOST = 40


class Rows(NamedTuple):
    """Unit states of the best trials, the best first."""

    metric: str
    units: tuple[UnitRecord, ...]
    numbers: tuple[int, ...]
    values: tuple[float, ...]
    states: tuple[tuple[str, ...], ...]
    baseline: int | None


class StructureStrips(Figure):
    """The common traits of good structures."""

    name, title, order, section = "structure_strips", "Structures of the best trials", 30, Section.STRUCTURE
    needs = frozenset({Need.DETAILS})
    least_width = 820
    how_to_read = (
        "Each row is a trial, best on top; each cell a unit of the network from input (left) to output (right), with "
        "what was changed in it. A line marks where the feature maps become smaller."
    )

    def rows(self, study: StudyRecord) -> Rows | None:
        ranked = [trial for trial in study.ranking if trial.size is not None and trial.size.unit_states]
        if not study.units:  # several backbones: their units cannot be aligned
            return None
        chosen = ranked[:_MOST]
        chosen += [trial for trial in ranked[_MOST:] if trial.is_baseline]
        if not chosen:
            return None
        return Rows(
            study.metric,
            study.units,
            tuple(trial.number for trial in chosen),
            tuple(trial.value or 0.0 for trial in chosen),
            tuple(trial.size.unit_states for trial in chosen if trial.size),
            next((trial.number for trial in chosen if trial.is_baseline), None),
        )

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No trial is complete yet, or trials have different backbones.")
        labels = [
            f"{'plain recipe' if number == rows.baseline else f'trial {number}'}  {wording.number(value)}"
            for number, value in zip(rows.numbers, rows.values, strict=True)
        ]
        return strips(labels, rows.units, rows.states, rows.numbers)


figure = StructureStrips()
