"""Results by class, or by predicted number, in the task's own metrics."""

from __future__ import annotations

import math
from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import StudyRecord, TrialRecord
from search.report import theme, wording
from search.report.figures._base import Figure, Need, Section

_MOST = 40


class Row(NamedTuple):
    """One class or number: metric -> value, of the winner and of the plain recipe."""

    name: str
    after: dict[str, float]
    before: dict[str, float]
    support: int


class Rows(NamedTuple):
    """The winner's results; ``measures`` are its metrics, the most telling first; of many classes the most frequent."""

    number: int
    measures: tuple[str, ...]
    classes: tuple[Row, ...]
    left_out: int
    is_plain: bool


class MeasuredResults(Figure):
    """How well the winner does on each class, next to the plain recipe."""

    name, title, order, section = "measured", "Results by class, winner and plain recipe", 116, Section.CLASSES
    needs = frozenset({Need.DETAILS})
    how_to_read = (
        "A row is a class (or a predicted number), with how often it occurs in validation: "
        "a full circle is the winner, a hollow one the plain recipe."
    )

    def rows(self, study: StudyRecord) -> Rows | None:
        best, plain = study.best, study.baseline
        if best is None or best.evaluation is None or not best.evaluation.measured:
            return None
        before = _values(plain) if plain is not None and plain is not best else {}
        measured = [
            Row(result.name, _finite(result.values), before.get(result.name, {}), result.support)
            for result in best.evaluation.measured
        ]
        measures = tuple(dict.fromkeys(measure for row in measured for measure in row.after))
        kept = sorted(range(len(measured)), key=lambda place: (-measured[place].support, place))[:_MOST]
        classes = tuple(measured[index] for index in sorted(kept))
        return Rows(best.number, measures, classes, len(measured) - len(kept), not before) if measures else None

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence(
                "No results by class in measures of the task's own: it has none, or no trial is done."
            )
        figure = go.Figure()
        sets: list[int] = []
        for index, measure in enumerate(rows.measures):
            for trace in _traces(rows, measure):
                figure.add_trace(trace.update(visible=index == 0))
                sets.append(index)
        note = f" ({rows.left_out} rarer ones are left out)" if rows.left_out else ""
        titles = [f"{wording.metric_name(measure)}{note}" for measure in rows.measures]
        figure = theme.styled(figure, height=130 + 28 * len(rows.classes), x=titles[0])
        figure.update_yaxes(type="category", autorange="reversed")
        figure.update_xaxes(rangemode="tozero")
        choices = [
            (wording.metric_name(measure), theme.visible_only(sets, index), {"xaxis.title.text": titles[index]})
            for index, measure in enumerate(rows.measures)
        ]
        return theme.menu(figure, choices) if len(choices) > 1 else figure


def _traces(rows: Rows, measure: str) -> list[go.Scatter]:
    """Return lines from the plain recipe to the winner, then markers for both."""
    labels = {row.name: f"{row.name} ({wording.count(row.support)})" for row in rows.classes}
    traces = [
        go.Scatter(
            x=[
                value
                for row in rows.classes
                if measure in row.before and measure in row.after
                for value in (row.before[measure], row.after[measure], None)
            ],
            y=[
                labels[row.name]
                for row in rows.classes
                if measure in row.before and measure in row.after
                for _ in range(3)
            ],
            mode="lines",
            line={"color": theme.GREY, "width": 2},
            hoverinfo="skip",
            showlegend=False,
        )
    ]
    marks = [("winner", [row.after for row in rows.classes], "circle", theme.BLUE)]
    if not rows.is_plain:
        marks.insert(0, ("plain recipe", [row.before for row in rows.classes], "circle-open", theme.ORANGE))
    for name, values, symbol, colour in marks:
        shown = [(row, value[measure]) for row, value in zip(rows.classes, values, strict=True) if measure in value]
        traces.append(
            go.Scatter(
                x=[value for _, value in shown],
                y=[labels[row.name] for row, _ in shown],
                text=[wording.number(value) for _, value in shown],
                mode="markers",
                marker={"size": 11, "color": colour, "symbol": symbol, "line": {"width": 2}},
                name=name,
                hovertemplate="%{y}: %{text}<extra>" + name + "</extra>",
            )
        )
    return traces


def _values(trial: TrialRecord) -> dict[str, dict[str, float]]:
    if trial.evaluation is None:
        return {}
    return {result.name: _finite(result.values) for result in trial.evaluation.measured}


def _finite(values: object) -> dict[str, float]:
    return {str(name): float(value) for name, value in dict(values).items() if math.isfinite(value)}  # type: ignore[call-overload]


figure = MeasuredResults()
