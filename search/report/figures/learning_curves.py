"""The objective over epochs of every trial; where a trial was pruned its curve ends in a cross."""

from __future__ import annotations

from typing import NamedTuple

import plotly.graph_objects as go

from search.records import StudyRecord, TrialState
from search.report import picks, theme
from search.report.figures._base import Figure, Need, Section


class Curve(NamedTuple):
    """One trial's objective by epoch."""

    number: int
    kind: str
    epochs: tuple[int, ...]
    values: tuple[float, ...]
    words: str


class Rows(NamedTuple):
    """All curves, ``kind`` being ``best``, ``plain recipe``, ``complete``, ``pruned`` or ``failed``."""

    metric: str
    curves: tuple[Curve, ...]
    left_out: int


_LOOKS = {
    "failed": (theme.RED, 1.0, 0.5),
    "pruned": (theme.GREY, 1.0, 0.6),
    "complete": (theme.BLUE, 1.2, 0.55),
    "plain recipe": (theme.ORANGE, 3.0, 1.0),
    "best": (theme.GREEN, 3.0, 1.0),
}


class LearningCurves(Figure):
    """How trials learnt, and where weak ones were ended."""

    name, title, order, section = "learning_curves", "Learning curves", 20, Section.PROGRESS
    needs = frozenset({Need.CURVES})
    how_to_read = (
        "One line a trial; grey lines that end in a cross were pruned there. "
        "Green is the winner, orange the plain recipe."
    )

    def rows(self, study: StudyRecord) -> Rows | None:
        best, chosen = study.best, set(picks.for_curves(study))
        trials = [trial for trial in study.trials if trial.epochs and trial.number in chosen]
        special = [trial for trial in trials if trial.is_baseline or trial is best]
        curves = []
        for trial in [*(trial for trial in trials if trial not in special), *special]:
            kind = "best" if trial is best else "plain recipe" if trial.is_baseline else str(trial.state)
            kind = kind if kind in _LOOKS else TrialState.COMPLETE.value
            epochs = tuple(record.epoch for record in trial.epochs)
            values = tuple(record.metrics.get(study.metric, float("nan")) for record in trial.epochs)
            curves.append(Curve(trial.number, kind, epochs, values, trial.words))
        ran = sum(picks.epochs_run(trial) > 0 for trial in study.trials)
        return Rows(study.metric, tuple(curves), max(ran - len(curves), 0)) if curves else None

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No epoch has been recorded yet.")
        figure = go.Figure()
        for kind, (colour, width, opacity) in _LOOKS.items():
            shown = False
            for curve in (curve for curve in rows.curves if curve.kind == kind):
                symbols = ["circle"] * (len(curve.epochs) - 1) + ["x" if kind == "pruned" else "circle"]
                sizes = [3] * (len(curve.epochs) - 1) + [8 if kind == "pruned" else 3]
                figure.add_scatter(
                    x=curve.epochs,
                    y=curve.values,
                    customdata=[curve.number] * len(curve.epochs),
                    mode="lines+markers",
                    line={"color": colour, "width": width},
                    marker={"symbol": symbols, "size": sizes, "color": colour},
                    opacity=opacity,
                    name=kind,
                    legendgroup=kind,
                    showlegend=not shown,
                    hovertemplate=f"trial {curve.number}, epoch %{{x}}: %{{y:.4f}}<br>"
                    f"{theme.wrapped(curve.words)}<extra></extra>",
                )
                shown = True
        if rows.left_out:
            figure.add_annotation(
                text=f"{rows.left_out} further trials are not drawn",
                x=1,
                y=0,
                xref="paper",
                yref="paper",
                showarrow=False,
            )
        figure = theme.styled(figure, x="epoch", y=theme.metric_name(rows.metric))
        figure.update_xaxes(dtick=1 if max(max(curve.epochs) for curve in rows.curves) <= 20 else None)
        return figure


figure = LearningCurves()
