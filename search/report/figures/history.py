"""The best value so far: over trials, wall time and device time."""

from __future__ import annotations

from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import StudyRecord
from search.report import theme, wording
from search.report.figures._base import Figure, Section
from search.report.figures._progress import AXES, progress, steps


class Rows(NamedTuple):
    """Finished trials in the order they ended; ``axes`` holds x by ``AXES``."""

    metric: str
    numbers: tuple[int, ...]
    axes: tuple[tuple[float, ...], ...]
    values: tuple[float, ...]
    states: tuple[str, ...]
    words: tuple[str, ...]
    best: tuple[float | None, ...]
    baseline: float | None


class History(Figure):
    """How fast the search got better."""

    name, title, order, section = "history", "Best so far", 10, Section.PROGRESS
    how_to_read = (
        "Each point is a trial when it ended; the line is the best complete one so far. Ticks at the edge are pruned "
        "trials that are far off."
    )

    def rows(self, study: StudyRecord) -> Rows | None:
        seen = progress(study)
        if seen is None:
            return None
        done = seen.trials
        return Rows(
            study.metric,
            tuple(trial.number for trial in done),
            seen.axes,
            tuple(trial.value for trial in done if trial.value is not None),
            tuple(trial.state.value for trial in done),
            tuple(trial.words for trial in done),
            seen.best,
            study.baseline.value if study.baseline else None,
        )

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No trial has ended yet.")
        figure, limits = go.Figure(), _limits(rows)
        chosen_by_trace = []
        for state, colour in theme.STATES.items():
            places = [index for index, ended in enumerate(rows.states) if ended == state]
            kept = theme.spread([float(index) for index in places], [rows.values[index] for index in places])
            chosen = [places[index] for index in kept]
            if chosen:
                chosen_by_trace.append(chosen)
                figure.add_scatter(
                    y=[min(max(rows.values[index], limits[0]), limits[1]) for index in chosen],
                    customdata=[rows.numbers[index] for index in chosen],
                    text=[_text(rows, index, in_words=len(chosen) <= _WORDS) for index in chosen],
                    hovertemplate="%{text} at %{x:.1f}<extra></extra>",
                    mode="markers",
                    name=state,
                    marker={"color": colour, "size": 8, "symbol": "circle" if state == "complete" else "line-ns-open"},
                )
        chosen_by_trace.append(steps(rows.best))
        figure.add_scatter(
            y=[rows.best[index] for index in chosen_by_trace[-1]],
            mode="lines",
            name="best so far",
            line={"color": theme.GREEN, "shape": "hv", "width": 3},
            hoverinfo="skip",
        )
        if wording.finite(rows.baseline):
            figure.add_hline(
                y=rows.baseline,
                line_dash="dash",
                line_color=theme.ORANGE,
                annotation_text="plain recipe",
                annotation_position="top right",
            )
        views = [
            (
                label,
                {"x": [[x[index] for index in chosen] for chosen in chosen_by_trace]},
                {"xaxis.title.text": title, "xaxis.dtick": theme.whole_ticks(x) if label == AXES[0][0] else None},
            )
            for (label, title), x in zip(AXES, rows.axes, strict=True)
        ]
        for trace, x in zip(figure.data, views[0][1]["x"], strict=True):
            trace.x = x
        figure = theme.styled(figure, x=AXES[0][1], y=wording.metric_name(rows.metric))
        figure.update_xaxes(dtick=views[0][2]["xaxis.dtick"])
        figure.update_yaxes(range=limits)
        return theme.menu(figure, views)


def _limits(rows: Rows) -> list[float]:
    """Return the range of complete trials; pruned ones, which may be far off, are drawn as a rug at its edge."""
    known = [value for value, state in zip(rows.values, rows.states, strict=True) if state == "complete"]
    known = [*known, *([rows.baseline] if rows.baseline is not None and wording.finite(rows.baseline) else [])]
    low, high = min(known or rows.values), max(known or rows.values)
    space = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return [low - space, high + space]


def _text(rows: Rows, place: int, *, in_words: bool) -> str:
    words = f"<br>{theme.wrapped(rows.words[place])}" if in_words else ""
    return f"trial {rows.numbers[place]}{words}<br>{rows.values[place]:.4f}"


_WORDS = 500
"""Most points whose hover label describes the candidate; with more, the labels would dominate the page."""


figure = History()
