"""The best value so far, against wall time."""

from __future__ import annotations

from typing import NamedTuple

import plotly.graph_objects as go

from search.records import StudyRecord, TrialState
from search.report import theme
from search.report.figures._base import Figure


class Rows(NamedTuple):
    """Finished trials in the order in which they ended; ``minutes`` since the study's first trial began."""

    metric: str
    numbers: tuple[int, ...]
    minutes: tuple[float, ...]
    values: tuple[float, ...]
    states: tuple[str, ...]
    words: tuple[str, ...]
    best: tuple[float | None, ...]
    baseline: float | None


class History(Figure):
    """How fast the search got better."""

    name, title, order = "history", "Best so far", 10
    how_to_read = (
        "Each point is a trial when it ended; the line is the best complete one so far, dashed the plain recipe."
    )

    def rows(self, study: StudyRecord) -> Rows | None:
        done = [trial for trial in study.trials if trial.finished_at is not None and trial.value is not None]
        done.sort(key=lambda trial: (trial.finished_at, trial.number))
        if not done:
            return None
        begin = min(trial.started_at for trial in study.trials if trial.started_at is not None)
        best: list[float | None] = []
        for trial in done:
            last = best[-1] if best else None
            counts = trial.state is TrialState.COMPLETE and trial.value is not None
            best.append(trial.value if counts and (last is None or study.is_better(trial.value or 0.0, last)) else last)
        return Rows(
            study.metric,
            tuple(trial.number for trial in done),
            tuple((trial.finished_at - begin).total_seconds() / 60 for trial in done if trial.finished_at),
            tuple(trial.value for trial in done if trial.value is not None),
            tuple(trial.state.value for trial in done),
            tuple(trial.words for trial in done),
            tuple(best),
            study.baseline.value if study.baseline else None,
        )

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No trial has ended yet.")
        figure = go.Figure()
        for state, colour in theme.STATES.items():
            chosen = theme.thinned([place for place, found in enumerate(rows.states) if found == state], 3000)
            if chosen:
                figure.add_scatter(
                    x=[rows.minutes[place] for place in chosen],
                    y=[rows.values[place] for place in chosen],
                    text=[f"trial {rows.numbers[place]}<br>{theme.wrapped(rows.words[place])}" for place in chosen],
                    hovertemplate="%{text}<br>%{y:.4f} after %{x:.1f} min<extra></extra>",
                    mode="markers",
                    name=state,
                    marker={"color": colour, "size": 8, "symbol": "circle" if state == "complete" else "x-thin-open"},
                )
        chosen = theme.thinned([place for place, value in enumerate(rows.best) if value is not None], 3000)
        figure.add_scatter(
            x=[rows.minutes[place] for place in chosen],
            y=[rows.best[place] for place in chosen],
            mode="lines",
            name="best so far",
            line={"color": theme.GREEN, "shape": "hv", "width": 3},
            hoverinfo="skip",
        )
        if rows.baseline is not None:
            figure.add_hline(y=rows.baseline, line_dash="dash", line_color=theme.ORANGE, annotation_text="plain recipe")
        return theme.styled(figure, x="wall time in minutes", y=theme.metric_name(rows.metric))


figure = History()
