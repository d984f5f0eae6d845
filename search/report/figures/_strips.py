"""Structures as strips of coloured cells."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from search.report import theme


def strips(
    labels: Sequence[str], units: Sequence[str], states: Sequence[Sequence[str]], numbers: Sequence[int]
) -> go.Figure:
    """Return one row per label and one cell per unit, coloured by its state."""
    states_shown = {state for row in states for state in row}
    colours = dict(theme.UNITS) | dict.fromkeys(sorted(states_shown - set(theme.UNITS)), theme.GREY)
    kinds = list(colours)
    steps = [round(index / len(kinds), 6) for index in range(len(kinds) + 1)]
    scale = [
        step
        for index, colour in enumerate(colours.values())
        for step in ((steps[index], colour), (steps[index + 1], colour))
    ]
    figure = go.Figure(
        go.Heatmap(
            z=[[kinds.index(state) for state in row] for row in states],
            x=list(units),
            y=list(labels),
            text=[list(row) for row in states],
            customdata=[[number] * len(row) for number, row in zip(numbers, states, strict=True)],
            hovertemplate="%{y}<br>%{x}: %{text}<extra></extra>",
            colorscale=scale,
            zmin=-0.5,
            zmax=len(kinds) - 0.5,
            xgap=2,
            ygap=2,
            showscale=False,
        )
    )
    for kind in (kind for kind in kinds if kind in states_shown):
        marker = {"color": colours[kind], "symbol": "square", "size": 12}
        figure.add_scatter(x=[None], y=[None], mode="markers", name=kind, marker=marker)
    figure = theme.styled(figure, height=150 + 22 * len(labels))
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(showgrid=False, tickangle=-60, tickfont={"size": 10})
    return figure
