"""Recall of every class in chosen trials, or the task's first metric by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import Evaluation, StudyRecord
from search.report import theme, wording
from search.report.figures._base import Need, Section, TrialsFigure

_MOST = 25


class Rows(NamedTuple):
    """Recall (or ``measure``) by class and trial; of many classes those that differ most."""

    classes: tuple[str, ...]
    numbers: tuple[int, ...]
    recalls: tuple[tuple[float, ...], ...]
    left_out: int
    measure: str


class SideClasses(TrialsFigure):
    """On which classes chosen trials differ."""

    name, title, order, section = "side_classes", "Classes", 304, Section.CLASSES
    needs = frozenset({Need.DETAILS})
    how_to_read = "Every class, a mark a trial; classes in which the trials differ most are on top."

    def rows(self, study: StudyRecord, numbers: Sequence[int]) -> Rows | None:
        chosen = {trial.number: trial.evaluation for trial in study.trials if trial.number in set(numbers)}
        own = [
            next(iter(result.values), "")
            for one in chosen.values()
            if one and not one.classes
            for result in one.measured
        ]
        measure = next(filter(None, own), "recall")
        by_trial = {number: _results(one, measure) for number, one in chosen.items() if one is not None}
        by_trial = {number: results for number, results in by_trial.items() if results}
        if not by_trial:
            return None
        names = list(next(iter(by_trial.values())))
        names = [name for name in names if all(name in recalls for recalls in by_trial.values())]
        spread = {
            name: max(r[name] for r in by_trial.values()) - min(r[name] for r in by_trial.values()) for name in names
        }
        kept = sorted(names, key=lambda name: -spread[name])[:_MOST]
        recalls = tuple(tuple(by_trial[number][name] for name in kept) for number in by_trial)
        return Rows(tuple(kept), tuple(by_trial), recalls, len(names) - len(kept), measure) if kept else None

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("None of these trials has per-class results.")
        figure = go.Figure()
        symbols = ("circle", "square", "diamond", "x", "triangle-up", "star", "cross", "hexagon")
        for index, (number, recalls) in enumerate(zip(rows.numbers, rows.recalls, strict=True)):
            is_share = rows.measure == "recall"
            figure.add_scatter(
                x=[100 * value for value in recalls] if is_share else recalls,
                y=rows.classes,
                mode="markers",
                marker={"size": 11, "color": theme.series(index)["color"], "symbol": symbols[index % len(symbols)]},
                name=f"trial {number}",
                hovertemplate=("%{y}: %{x:.1f} %" if is_share else "%{y}: %{x:.4g}") + "<extra></extra>",
            )
        note = f" ({rows.left_out} classes that differ less are left out)" if rows.left_out else ""
        title = f"{wording.metric_name(rows.measure)}{note}"
        figure = theme.styled(figure, height=130 + 26 * len(rows.classes), x=title)
        figure.update_yaxes(type="category", autorange="reversed")
        if rows.measure == "recall":
            figure.update_xaxes(ticksuffix=" %")
        return figure


def _results(evaluation: Evaluation, measure: str) -> dict[str, float]:
    if measure == "recall":
        return {result.name: result.recall for result in evaluation.classes}
    return {result.name: result.values[measure] for result in evaluation.measured if measure in result.values}


figure = SideClasses()
