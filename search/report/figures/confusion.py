"""The winner's confusion matrix on the validation data."""

from __future__ import annotations

from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import StudyRecord
from search.report import theme
from search.report.figures._base import Figure, Need, Section

_MOST = 40
_FEW = 8
"""Most classes whose numbers fit on a telephone."""


class Rows(NamedTuple):
    """Counts, with true classes as rows; of many classes only those with the most errors."""

    number: int
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    left_out: int


class Confusion(Figure):
    """Which classes the best candidate confuses."""

    name, title, order, section = "confusion", "Confusion matrix of the winner", 110, Section.CLASSES
    needs = frozenset({Need.DETAILS})
    how_to_read = (
        "Rows are true classes, columns what the winner predicted, numbers are samples. Colour is the share of the row "
        "misclassified there; cells without errors have none."
    )

    def narrowest(self, drawing: go.Figure) -> int:
        classes = len(drawing.data[0].x) if drawing.data else 0
        return 130 + 30 * classes if classes > _FEW else 0

    def rows(self, study: StudyRecord) -> Rows | None:
        best = study.best
        if best is None or best.evaluation is None or not best.evaluation.confusion:
            return None
        matrix = best.evaluation.confusion
        names = tuple(result.name for result in best.evaluation.classes)
        errors = [
            sum(row) - row[index] + sum(other[index] for other in matrix) - row[index]
            for index, row in enumerate(matrix)
        ]
        worst = sorted(range(len(names)), key=lambda place: (-errors[place], place))[:_MOST]
        kept = sorted(worst)
        return Rows(
            best.number,
            tuple(names[index] for index in kept),
            tuple(tuple(matrix[row][column] for column in kept) for row in kept),
            len(names) - len(kept),
        )

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No complete trial has per-class results.")
        shares = [
            [100 * value / max(sum(row), 1) if value and column != index else None for column, value in enumerate(row)]
            for index, row in enumerate(rows.counts)
        ]
        most = max((share for row in shares for share in row if share is not None), default=0.0)
        if not most:
            return theme.sentence("The winner got every validation sample of these classes right.")
        has_numbers = len(rows.classes) <= 25
        figure = go.Figure(
            go.Heatmap(
                z=shares,
                x=list(rows.classes),
                y=list(rows.classes),
                text=[
                    [str(value) if value and column != index else "" for column, value in enumerate(row)]
                    for index, row in enumerate(rows.counts)
                ],
                texttemplate="%{text}" if has_numbers else None,
                customdata=rows.counts,
                colorscale=theme.SCALE,
                zmin=0,
                zmax=most,
                xgap=1,
                ygap=1,
                hovertemplate="%{y} taken for %{x}: %{customdata}<extra></extra>",
                colorbar={"ticksuffix": " %", "thickness": 12},
            )
        )
        if has_numbers:  # a heatmap writes none where it has no colour but those of white paper, on dark pages too
            figure.add_scatter(
                x=list(rows.classes),
                y=list(rows.classes),
                text=[str(row[index] or "") for index, row in enumerate(rows.counts)],
                mode="text",
                hoverinfo="skip",
                showlegend=False,
            )
        note = f" ({rows.left_out} classes with fewer errors are left out)" if rows.left_out else ""
        side = min(max(340, 130 + 30 * len(rows.classes)), 1000)
        figure = theme.styled(figure, height=side, x=f"predicted{note}", y="true class")
        figure.update_xaxes(type="category", showgrid=False)
        figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
        return figure


figure = Confusion()
