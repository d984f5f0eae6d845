"""Structures as strips: a cell a unit, its fill the state, its text the edit, its width on a switch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from search.records.study import UnitRecord
from search.report import structures, theme


def strips(
    labels: Sequence[str], units: Sequence[UnitRecord], states: Sequence[Sequence[str]], numbers: Sequence[int | None]
) -> go.Figure:
    """Return one row per label and one cell per unit; ``states`` are as they are recorded."""
    rows = [[structures.cell(unit.name, state) for unit, state in zip(units, row, strict=False)] for row in states]
    shown = {cell.state for row in rows for cell in row}
    colours = dict(theme.UNITS) | dict.fromkeys(sorted(shown - set(theme.UNITS)), theme.GREY)
    kinds = list(colours)
    steps = [round(index / len(kinds), 6) for index in range(len(kinds) + 1)]
    scale = [
        step
        for index, colour in enumerate(colours.values())
        for step in ((steps[index], colour), (steps[index + 1], colour))
    ]
    figure = go.Figure(
        go.Heatmap(
            z=[[kinds.index(cell.state) for cell in row] for row in rows],
            x=structures.edges(units),
            y=list(labels),
            text=[[cell.short for cell in row] for row in rows],
            texttemplate="%{text}",
            textfont={"size": 11},
            hovertext=[[cell.words for cell in row] for row in rows],
            customdata=[[number] * len(row) for number, row in zip(numbers, rows, strict=True)],
            hovertemplate="%{y}<br>%{hovertext}<extra></extra>",
            colorscale=scale,
            zmin=-0.5,
            zmax=len(kinds) - 0.5,
            xgap=2,
            ygap=2,
            showscale=False,
        )
    )
    for kind in (kind for kind in kinds if kind in shown):
        marker = {"color": colours[kind], "symbol": "square", "size": 12}
        figure.add_scatter(x=[None], y=[None], mode="markers", name=kind, marker=marker)
    legend = len(figure.data) - 1
    height = 180 + 22 * len(labels)
    figure = theme.styled(figure, height=height)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(showgrid=False, zeroline=False, tickangle=-60, tickfont={"size": 10}, range=[0, len(units)])
    figure.update_layout(margin={"t": 64}, legend={"y": 1 + 26 / max(height - 64 - 48, 1)})
    views = [("equal", None), ("parameters", [unit.parameters for unit in units])]
    views.append(("FLOPs", [unit.flops for unit in units]))
    choices = [
        (f"width: {label}", {"x": [places, *[[None]] * legend]}, _axis(units, places))
        for label, places in ((label, structures.edges(units, sizes)) for label, sizes in views)
    ]
    figure.update_layout({key.replace(".", "_"): value for key, value in choices[0][2].items()})
    return theme.menu(figure, choices)


def _axis(units: Sequence[UnitRecord], places: Sequence[float]) -> dict[str, Any]:
    """Return the names below the cells, where there is room for them, and the marks of stages above."""
    middles = [(begin + end) / 2 for begin, end in pairwise(places)]
    shown: list[int] = []
    for index, middle in enumerate(middles):
        if not shown or (middle - middles[shown[-1]]) * 60 >= len(units):  # a sixtieth of the axis is a line of text
            shown.append(index)
    marks = structures.stages(units)
    return {
        "xaxis.tickvals": [middles[index] for index in shown],
        "xaxis.ticktext": [units[index].name for index in shown],
        "shapes": [
            {
                "type": "line", "xref": "x", "yref": "paper", "y0": 0, "y1": 1,
                "x0": places[place], "x1": places[place], "line": {"color": theme.INK, "width": 2},
            }
            for place, _ in marks
        ],
        "annotations": [
            {
                "x": places[place], "y": 1, "xref": "x", "yref": "paper", "text": text, "showarrow": False,
                "xanchor": "left", "yanchor": "bottom", "font": {"size": 10},
            }
            for place, text in marks
        ],
    }  # fmt: skip
