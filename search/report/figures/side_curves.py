"""Learning curves of chosen trials in one plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import StudyRecord, TrialState
from search.report import theme, wording
from search.report.figures._base import Need, Section, TrialsFigure


class Curve(NamedTuple):
    """One trial: its epochs, and by metric a value for each; ``label`` names its state unless it is complete."""

    number: int
    label: str
    epochs: tuple[int, ...]
    metrics: dict[str, tuple[float, ...]]


class Rows(NamedTuple):
    """Chosen trials that ran an epoch; ``metrics`` begins with the objective."""

    metrics: tuple[str, ...]
    curves: tuple[Curve, ...]


class SideCurves(TrialsFigure):
    """How chosen trials learnt."""

    name, title, order, section = "side_curves", "Learning curves", 300, Section.PROGRESS
    needs = frozenset({Need.CURVES})
    how_to_read = "One line per trial; the menu shows the other metrics and the training loss."

    def rows(self, study: StudyRecord, numbers: Sequence[int]) -> Rows | None:
        chosen = [trial for trial in study.trials if trial.number in set(numbers) and trial.epochs]
        if not chosen:
            return None
        recorded = {name for trial in chosen for record in trial.epochs for name in record.metrics}
        metrics = (study.metric, *sorted(recorded - {study.metric}))
        curves = []
        for trial in chosen:
            values = {
                name: tuple(record.metrics.get(name, float("nan")) for record in trial.epochs) for name in metrics
            }
            values["training loss"] = tuple(record.train_loss for record in trial.epochs)
            state = "" if trial.state is TrialState.COMPLETE else f" ({trial.state})"
            label = f"trial {trial.number}{state}"
            curves.append(Curve(trial.number, label, tuple(record.epoch for record in trial.epochs), values))
        return Rows((*metrics, "training loss"), tuple(curves))

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("None of these trials has run an epoch.")
        figure = go.Figure()
        for index, curve in enumerate(rows.curves):
            figure.add_scatter(
                x=curve.epochs,
                y=curve.metrics[rows.metrics[0]],
                mode="lines+markers",
                line={**theme.series(index), "width": 2},
                name=curve.label,
            )
        views = []
        for name in rows.metrics:
            y = [curve.metrics[name] for curve in rows.curves]
            single = theme.around(value for values in y for value in values)
            layout = {"yaxis.title.text": wording.metric_name(name), "yaxis.autorange": single is None}
            views.append((wording.metric_name(name), {"y": y}, layout | ({"yaxis.range": single} if single else {})))
        figure = theme.styled(figure, x="epoch")
        figure.update_layout({key.replace(".", "_"): value for key, value in views[0][2].items()})
        figure = theme.menu(figure, views)
        longest = max(max(curve.epochs) for curve in rows.curves)
        figure.update_xaxes(dtick=1 if longest <= 20 else None)
        return figure


figure = SideCurves()
