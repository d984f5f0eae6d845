"""The best value so far: over trials, wall time and device time."""

from __future__ import annotations

from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import StudyRecord
from search.report import theme
from search.report.figures._base import Figure, Section
from search.report.figures._progress import AXES, progress, steps


class Rows(NamedTuple):
    """Finished trials in the order in which they ended; ``axes`` holds x by ``AXES``."""

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
        "Each point is a trial when it ended; the line is the best complete one so far, dashed the plain recipe."
    )

    def rows(self, study: StudyRecord) -> Rows | None:
        found = progress(study)
        if found is None:
            return None
        done = found.trials
        return Rows(
            study.metric,
            tuple(trial.number for trial in done),
            found.axes,
            tuple(trial.value for trial in done if trial.value is not None),
            tuple(trial.state.value for trial in done),
            tuple(trial.words for trial in done),
            found.best,
            study.baseline.value if study.baseline else None,
        )

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No trial has ended yet.")
        figure = go.Figure()
        chosen_by_trace = []
        for state, colour in theme.STATES.items():
            places = [place for place, found in enumerate(rows.states) if found == state]
            kept = theme.spread([float(place) for place in places], [rows.values[place] for place in places])
            chosen = [places[place] for place in kept]
            if chosen:
                chosen_by_trace.append(chosen)
                figure.add_scatter(
                    y=[rows.values[place] for place in chosen],
                    customdata=[rows.numbers[place] for place in chosen],
                    text=[f"trial {rows.numbers[place]}<br>{theme.wrapped(rows.words[place])}" for place in chosen]
                    if len(chosen) <= _WORDS
                    else [f"trial {rows.numbers[place]}" for place in chosen],
                    hovertemplate="%{text}<br>%{y:.4f} at %{x:.1f}<extra></extra>",
                    mode="markers",
                    name=state,
                    marker={"color": colour, "size": 8, "symbol": "circle" if state == "complete" else "x-thin-open"},
                )
        chosen_by_trace.append(steps(rows.best))
        figure.add_scatter(
            y=[rows.best[place] for place in chosen_by_trace[-1]],
            mode="lines",
            name="best so far",
            line={"color": theme.GREEN, "shape": "hv", "width": 3},
            hoverinfo="skip",
        )
        if theme.finite(rows.baseline):
            figure.add_hline(
                y=rows.baseline,
                line_dash="dash",
                line_color=theme.ORANGE,
                annotation_text="plain recipe",
                annotation_position="bottom right",
            )
        views = [
            (label, {"x": [[x[place] for place in chosen] for chosen in chosen_by_trace]}, {"xaxis.title.text": title})
            for (label, title), x in zip(AXES, rows.axes, strict=True)
        ]
        for trace, x in zip(figure.data, views[0][1]["x"], strict=True):
            trace.x = x
        return theme.menu(theme.styled(figure, x=AXES[0][1], y=theme.metric_name(rows.metric)), views)


_WORDS = 500
"""Points whose hover label holds the candidate in words; a page of more would consist of them."""


figure = History()
