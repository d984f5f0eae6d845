"""Structures of chosen trials below the pretrained network's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import StudyRecord, UnitRecord
from search.report import theme
from search.report.figures._base import Need, Section, TrialsFigure
from search.report.figures._strips import strips


class Rows(NamedTuple):
    """Unit states of the chosen trials."""

    units: tuple[UnitRecord, ...]
    numbers: tuple[int, ...]
    states: tuple[tuple[str, ...], ...]


class SideStructures(TrialsFigure):
    """What was done to every unit."""

    name, title, order, section = "side_structures", "Structures", 302, Section.STRUCTURE
    needs = frozenset({Need.DETAILS})
    least_width = 820
    how_to_read = (
        "The pretrained network on top, then a row per trial; each cell is a unit from input (left) to output (right), "
        "with what was changed in it. Lines mark where the feature maps become smaller."
    )

    def rows(self, study: StudyRecord, numbers: Sequence[int]) -> Rows | None:
        structures = {
            trial.number: trial.size.unit_states
            for trial in study.trials
            if trial.number in set(numbers) and trial.size and trial.size.unit_states
        }
        if not structures or not study.units:  # units of different backbones cannot be aligned
            return None
        return Rows(study.units, tuple(structures), tuple(structures.values()))

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("None of these trials has been built yet, or the study has several backbones.")
        labels = ["pretrained", *(f"trial {number}" for number in rows.numbers)]
        states = [("pretrained",) * len(rows.units), *rows.states]
        return strips(labels, rows.units, states, [None, *rows.numbers])


figure = SideStructures()
