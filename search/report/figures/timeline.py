"""Which worker ran which trial when, with retries and failures."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import StudyRecord, TrialState
from search.report import theme
from search.report.figures._base import Figure, Section

_MOST = 1500


class Span(NamedTuple):
    """One trial on its worker; ``end`` is None while it runs. ``attempts`` above one means that it was retried."""

    number: int
    worker: str
    state: str
    begin: datetime
    end: datetime | None
    attempts: int
    note: str


class Rows(NamedTuple):
    """The most recent trials in the order they began; ``until`` is the latest known moment."""

    spans: tuple[Span, ...]
    until: datetime
    left_out: int


class Timeline(Figure):
    """What the workers did."""

    name, title, order, section = "timeline", "Workers and their trials", 120, Section.WORKERS
    how_to_read = (
        "A bar is a trial from its first start to its end, with a circle if it was taken up again and a cross if it "
        "failed. Gaps are idle time."
    )

    def rows(self, study: StudyRecord) -> Rows | None:
        begun = [trial for trial in study.trials if trial.started_at is not None]
        begun.sort(key=lambda trial: (trial.started_at, trial.number))
        chosen = begun[-_MOST:]
        spans = tuple(
            Span(
                trial.number,
                trial.worker or "unknown",
                trial.state.value,
                trial.started_at,
                trial.finished_at,
                trial.attempts,
                trial.failure.message if trial.failure else trial.ended,
            )
            for trial in chosen
            if trial.started_at is not None
        )
        if not spans:
            return None
        until = max(span.end or span.begin for span in spans)
        return Rows(spans, until, len(begun) - len(chosen))

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No trial has begun yet.")
        figure = go.Figure()
        for state, colour in theme.STATES.items():
            spans = [span for span in rows.spans if span.state == state]
            if not spans:
                continue
            x: list[datetime | None] = []
            y: list[str | None] = []
            for span in spans:
                x += [span.begin, span.end or rows.until, None]
                y += [span.worker, span.worker, None]
            figure.add_scatter(
                x=x,
                y=y,
                customdata=[span.number for span in spans for _ in range(3)],
                text=[_label(span) for span in spans for _ in range(3)],
                hovertemplate="%{text}<extra></extra>",
                mode="lines",
                line={"color": colour, "width": 12},
                name=state,
            )
        _marks(
            figure, [span for span in rows.spans if span.attempts > 1], "taken up again", "circle-open", theme.PURPLE
        )
        _marks(figure, [span for span in rows.spans if span.state == TrialState.FAILED], "failure", "x", theme.RED)
        workers = len({span.worker for span in rows.spans})
        note = f"the most recent {len(rows.spans)} trials" if rows.left_out else ""
        figure = theme.styled(figure, height=150 + 34 * workers, x=note)
        figure.update_yaxes(type="category")
        return figure


def _marks(figure: go.Figure, spans: list[Span], name: str, symbol: str, colour: str) -> None:
    if spans:
        figure.add_scatter(
            x=[span.begin for span in spans],
            y=[span.worker for span in spans],
            customdata=[span.number for span in spans],
            text=[_label(span) for span in spans],
            hovertemplate="%{text}<extra></extra>",
            mode="markers",
            marker={"symbol": symbol, "size": 11, "color": colour, "line": {"width": 2}},
            name=name,
        )


def _label(span: Span) -> str:
    again = f", attempt {span.attempts}" if span.attempts > 1 else ""
    return f"trial {span.number}, {span.state}{again}<br>{theme.wrapped(span.note[:300])}"


figure = Timeline()
