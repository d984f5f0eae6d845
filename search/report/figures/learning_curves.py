"""The objective of every trial over its epochs; curves of pruned trials end in a cross."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from search.records.study import StudyRecord, TrialState
from search.report import shown_trials, theme, wording
from search.report.figures._base import Figure, Need, Section


class Curve(NamedTuple):
    """One trial's objective by epoch."""

    number: int
    kind: str
    epochs: tuple[int, ...]
    values: tuple[float, ...]
    words: str
    is_pruned: bool


class Rows(NamedTuple):
    """All curves; ``kind`` is ``best``, ``plain recipe`` once that has its value, or the trial's state."""

    metric: str
    curves: tuple[Curve, ...]
    left_out: int


_LOOKS = {
    "failed": (theme.RED, 1.2, 1.0),
    "pruned": (theme.GREY, 1.0, 1.0),
    "waiting": (theme.STATES["waiting"], 1.2, 1.0),
    "running": (theme.STATES["running"], 2.0, 1.0),
    "complete": (theme.BLUE, 1.2, 0.5),
    "plain recipe": (theme.ORANGE, 3.0, 1.0),
    "winner": (theme.GREEN, 3.0, 1.0),
}


class LearningCurves(Figure):
    """How trials learnt, and where weak ones were pruned."""

    name, title, order, section = "learning_curves", "Learning curves", 20, Section.PROGRESS
    needs = frozenset({Need.CURVES})
    how_to_read = "One line per trial, epoch by epoch; the legend names the marked ones."

    def rows(self, study: StudyRecord) -> Rows | None:
        best, chosen = study.best, set(shown_trials.for_curves(study))
        trials = [trial for trial in study.trials if trial.epochs and trial.number in chosen]
        special = [trial for trial in trials if trial.is_baseline or trial is best]
        curves = []
        for trial in [*(trial for trial in trials if trial not in special), *special]:
            is_plain = trial.is_baseline and trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
            kind = "winner" if trial is best else "plain recipe" if is_plain else str(trial.state)
            epochs = tuple(record.epoch for record in trial.epochs)
            values = tuple(record.metrics.get(study.metric, float("nan")) for record in trial.epochs)
            is_pruned = trial.state is TrialState.PRUNED
            curves.append(Curve(trial.number, kind, epochs, values, trial.words, is_pruned))
        ran = sum(shown_trials.epochs_run(trial) > 0 for trial in study.trials)
        return Rows(study.metric, tuple(curves), max(ran - len(curves), 0)) if curves else None

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No epoch has been recorded yet.")
        figure = go.Figure()
        for kind, (colour, width, opacity) in _LOOKS.items():
            curves = [curve for curve in rows.curves if curve.kind == kind]
            if curves:
                _add(figure, curves, kind, {"color": colour, "width": width}, opacity, len(rows.curves) <= _WORDS)
        ends = [curve for curve in rows.curves if curve.is_pruned]
        if ends:
            figure.add_scatter(
                x=[curve.epochs[-1] for curve in ends],
                y=[curve.values[-1] for curve in ends],
                customdata=[curve.number for curve in ends],
                mode="markers",
                marker={"symbol": "x", "size": 7, "color": theme.GREY},
                name="pruned here",
                hovertemplate="trial %{customdata} was pruned after epoch %{x}<extra></extra>",
            )
        if rows.left_out:
            figure.add_annotation(
                text=f"{rows.left_out} further trials are not drawn",
                x=1,
                y=0,
                xref="paper",
                yref="paper",
                showarrow=False,
            )
        figure = theme.styled(figure, x="epoch", y=wording.metric_name(rows.metric))
        figure.update_yaxes(range=theme.around(value for curve in rows.curves for value in curve.values))
        epochs = {epoch for curve in rows.curves for epoch in curve.epochs}
        figure.update_xaxes(dtick=1 if max(epochs) <= 20 else None)
        if len(epochs) == 1:  # Plotly would begin before 0
            figure.update_xaxes(range=[min(epochs) - 1, max(epochs) + 1])
        return figure


_WORDS = 60
"""Most curves whose hover labels describe the candidate."""


def _add(
    figure: go.Figure, curves: Sequence[Curve], kind: str, line: dict[str, Any], opacity: float, in_words: bool
) -> None:
    """Draw all curves of a kind as one trace with gaps: one trace per curve makes browsers slow."""
    x: list[int | None] = []
    y: list[float | None] = []
    sizes: list[float] = []
    numbers: list[int] = []
    words: list[str] = []
    for curve in curves:
        x += [*curve.epochs, None]
        y += [*curve.values, None]
        sizes += [3 + (line["width"] + 2) * (len(curve.epochs) == 1)] * (len(curve.epochs) + 1)
        numbers += [curve.number] * (len(curve.epochs) + 1)
        words += [theme.wrapped(curve.words) if in_words else ""] * (len(curve.epochs) + 1)
    figure.add_scatter(
        x=x,
        y=y,
        customdata=numbers,
        text=words if in_words else None,
        mode="lines+markers" if in_words or max(sizes) > 3 else "lines",  # of one epoch, there is no line
        line=line,
        marker={"size": sizes if max(sizes) > 3 else 3, "color": line["color"], "opacity": 1, "line": {"width": 0}},
        opacity=opacity,
        name=kind,
        connectgaps=False,
        hovertemplate="trial %{customdata}, epoch %{x}: %{y:.4f}<br>%{text}<extra></extra>"
        if in_words
        else "trial %{customdata}, epoch %{x}: %{y:.4f}<extra></extra>",
    )


figure = LearningCurves()
