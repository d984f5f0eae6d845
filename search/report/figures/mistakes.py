"""The winner's most confident mistakes, as pictures or texts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import Mistake, StudyRecord
from search.report import theme, wording
from search.report.figures._base import Figure, Need, Section
from search.report.thumbnails import picture

_SHOWN, _ACROSS = 12, 4
_WIDE, _LINE = 44, 18
"""Characters in a line of text, as fit on a phone's screen, and its height in pixels."""


class Rows(NamedTuple):
    """The winner's mistakes, the most confident first."""

    number: int
    mistakes: tuple[Mistake, ...]
    texts: bool = False


class Mistakes(Figure):
    """Confident but wrong predictions of the winner: wrong labels show up here too."""

    name, title, order, section = "mistakes", "Most confident mistakes", 114, Section.CLASSES
    needs = frozenset({Need.DETAILS})
    least_width = 560
    how_to_read = "Validation samples the winner got wrong with the greatest confidence: look for wrong labels first."

    def narrowest(self, drawing: go.Figure) -> int:
        return self.least_width if drawing.layout.images else 0

    def rows(self, study: StudyRecord) -> Rows | None:
        best = study.best
        if best is None or best.evaluation is None or not best.evaluation.mistakes:
            return None
        is_text = study.dataset.inputs == "tokens"
        return Rows(best.number, best.evaluation.mistakes[:_SHOWN], is_text)

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No mistakes of the winner are recorded: it made none, or no trial is complete.")
        if rows.texts:
            return _written(rows.mistakes)
        pictures = [(one, source) for one in rows.mistakes if (source := picture(one.sample, one.content))]
        if not pictures:
            listed = "; ".join(_words(mistake) for mistake in rows.mistakes[:3])
            return theme.sentence(f"The images cannot be reached from here, so only in words: {listed}.")
        figure = go.Figure()
        across = min(_ACROSS, len(pictures))
        lines = -(-len(pictures) // across)
        for index, (_, source) in enumerate(pictures):
            column, line = index % across, index // across
            figure.add_layout_image(
                source=source,
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
            x=[index % across for index in range(len(pictures))],
            y=[-(index // across) - 0.71 for index in range(len(pictures))],
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


def _written(mistakes: tuple[Mistake, ...]) -> go.Figure:
    """Draw mistakes as text: predicted label, true label, place, and first words."""
    blocks = [_block(mistake) for mistake in mistakes]
    tops = [sum(block.count("<br>") + 2 for block in blocks[:index]) for index in range(len(blocks))]
    lines = sum(block.count("<br>") + 2 for block in blocks)
    figure = go.Figure()
    for block, top in zip(blocks, tops, strict=True):
        # Annotations, since Plotly centres the lines of a scatter's text.
        figure.add_annotation(
            x=0, y=-top, text=block, showarrow=False, align="left", xanchor="left", yanchor="top", font={"size": 13}
        )
    figure = theme.styled(figure, height=30 + _LINE * lines)
    figure.update_layout(margin={"l": 8, "r": 8, "t": 8, "b": 8})
    figure.update_xaxes(visible=False, range=[0, 1], fixedrange=True)
    figure.update_yaxes(visible=False, range=[-lines, 0], fixedrange=True)
    return figure


def _block(mistake: Mistake) -> str:
    place, _, text = mistake.sample.partition(": ")
    taken, true = (theme.wrapped(name, _WIDE) for name in (mistake.predicted, mistake.true))
    # Words longer than a line, such as links, are broken.
    broken = re.sub(rf"(\S{{{_WIDE}}})", r"\1 ", text)
    head = f"taken for <b>{taken}</b> ({wording.percent(mistake.confidence)}), is <b>{true}</b>"
    return f"{head}<br>{theme.wrapped(broken, _WIDE)}<br>{theme.wrapped(Path(place).name, _WIDE)}"


def _caption(mistake: Mistake) -> str:
    taken, true = theme.wrapped(mistake.predicted, 18), theme.wrapped(mistake.true, 18)
    return f"is <b>{true}</b>, taken for<br>{taken} ({wording.percent(mistake.confidence)})"


def _words(mistake: Mistake) -> str:
    name = Path(mistake.sample).name or f"image {mistake.place}"
    return f"{name} is {mistake.true}, taken for {mistake.predicted} with {wording.percent(mistake.confidence)}"


figure = Mistakes()
