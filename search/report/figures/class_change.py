"""The change in every class's recall from the plain recipe to the winner."""

from __future__ import annotations

import math
from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import ClassResult, StudyRecord
from search.report import theme
from search.report.figures._base import Figure, Need, Section

_MOST = 30


class Row(NamedTuple):
    """One class: recall of the plain recipe and of the winner; ``margin`` half the 95 % interval of the change."""

    name: str
    before: float
    after: float
    margin: float
    support: int


class Rows(NamedTuple):
    """Classes by change, the largest loss first; ``left_out`` is the number of those that changed least."""

    number: int
    classes: tuple[Row, ...]
    left_out: int
    noun: str


class ClassChange(Figure):
    """Which classes gained, and which lost."""

    name, title, order, section = "class_change", "Change by class against the plain recipe", 112, Section.CLASSES
    needs = frozenset({Need.DETAILS})
    how_to_read = (
        "Recall (share of a class's validation samples predicted as such), winner minus plain recipe; "
        "a line that crosses zero may be chance (95 %)."
    )

    def rows(self, study: StudyRecord) -> Rows | None:
        best, baseline = study.best, study.baseline
        if best is None or baseline is None or best is baseline:
            return None
        if best.evaluation is None or baseline.evaluation is None:
            return None
        before = {result.name: result for result in baseline.evaluation.classes}
        changes = [
            _row(before[result.name], result)
            for result in best.evaluation.classes
            if result.name in before and result.support
        ]
        kept = sorted(changes, key=lambda row: -abs(row.after - row.before))[:_MOST]
        kept.sort(key=lambda row: (row.after - row.before, row.name))
        return Rows(best.number, tuple(kept), len(changes) - len(kept), study.dataset.noun) if kept else None

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("The winner is the plain recipe, or one of them has no per-class results.")
        changes = [100 * (row.after - row.before) for row in rows.classes]
        figure = go.Figure(
            go.Bar(
                x=changes,
                y=[row.name for row in rows.classes],
                orientation="h",
                marker={"color": [theme.BLUE if change >= 0 else theme.RED for change in changes]},
                error_x={"type": "data", "array": [100 * row.margin for row in rows.classes], "color": theme.GREY},
                text=[f"{row.before:.2f} to {row.after:.2f} of {row.support} {rows.noun}" for row in rows.classes],
                textposition="none",
                hovertemplate="%{y}: %{text}<extra></extra>",
            )
        )
        note = f" ({rows.left_out} classes that changed less are left out)" if rows.left_out else ""
        figure = theme.styled(figure, height=110 + 24 * len(rows.classes), x=f"change in recall, points{note}")
        figure.update_yaxes(type="category")
        figure.update_xaxes(tickformat="+~g")
        return figure


def _row(before: ClassResult, after: ClassResult) -> Row:
    count = max(after.support, 1)
    variance = sum(max(share * (1 - share), 1 / (4 * count)) / count for share in (before.recall, after.recall))
    return Row(after.name, before.recall, after.recall, 1.96 * math.sqrt(variance), after.support)


figure = ClassChange()
