"""The most confident mistakes of the winner, as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import plotly.graph_objects as go

from search.records import Mistake, StudyRecord
from search.report import theme
from search.report.figures._base import Figure, Need, Section
from search.report.thumbnails import picture

_SHOWN, _ACROSS = 12, 4


class Rows(NamedTuple):
    """Mistakes of the winner, the most confident first."""

    number: int
    mistakes: tuple[Mistake, ...]


class Mistakes(Figure):
    """What the winner is sure of and wrong about: wrong labels hide here too."""

    name, title, order, section = "mistakes", "Most confident mistakes", 114, Section.CLASSES
    needs = frozenset({Need.DETAILS})
    how_to_read = "Validation images the winner got wrong with the greatest confidence: look for wrong labels first."

    def rows(self, study: StudyRecord) -> Rows | None:
        best = study.best
        if best is None or best.evaluation is None or not best.evaluation.mistakes:
            return None
        return Rows(best.number, best.evaluation.mistakes[:_SHOWN])

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No mistakes of the winner are recorded: it made none, or no trial is complete.")
        pictures = [(mistake, found) for mistake in rows.mistakes if (found := picture(mistake.sample))]
        if not pictures:
            listed = "; ".join(_words(mistake) for mistake in rows.mistakes[:3])
            return theme.sentence(f"The images cannot be reached from here, so only in words: {listed}.")
        figure = go.Figure()
        across = min(_ACROSS, len(pictures))
        lines = -(-len(pictures) // across)
        for place, (_, found) in enumerate(pictures):
            column, line = place % across, place // across
            figure.add_layout_image(
                source=found,
                x=column,
                y=-line,
                xref="x",
                yref="y",
                sizex=0.9,
                sizey=0.68,
                xanchor="left",
                yanchor="top",
            )
        figure.add_scatter(
            x=[place % across for place in range(len(pictures))],
            y=[-(place // across) - 0.71 for place in range(len(pictures))],
            text=[_caption(mistake) for mistake, _ in pictures],
            hovertext=[theme.wrapped(_words(mistake)) for mistake, _ in pictures],
            hovertemplate="%{hovertext}<extra></extra>",
            mode="text",
            textposition="bottom right",
            textfont={"size": 12},
            showlegend=False,
        )
        figure = theme.styled(figure, height=40 + 190 * lines)
        figure.update_xaxes(visible=False, range=[-0.05, across], fixedrange=True)
        figure.update_yaxes(visible=False, range=[-lines, 0.05], fixedrange=True)
        return figure


def _caption(mistake: Mistake) -> str:
    taken, true = theme.wrapped(mistake.predicted, 18), theme.wrapped(mistake.true, 18)
    return f"<b>{taken}</b> {mistake.confidence:.0%}<br>is {true}"


def _words(mistake: Mistake) -> str:
    name = Path(mistake.sample).name or f"image {mistake.place}"
    return f"{name} is {mistake.true}, taken for {mistake.predicted} with {mistake.confidence:.0%}"


figure = Mistakes()
