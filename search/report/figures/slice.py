"""The objective over one parameter at a time."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import StudyRecord, TrialState
from search.report import parameters, shown_trials, theme, wording
from search.report.figures._base import Figure, Need, Section

_TRIALS = 1000
_PARAMETERS = 16


class Slice(NamedTuple):
    """Trials by one parameter: its values (numbers or words), the objective, and the median by group.

    Attributes:
        steps: the middle of each group of values and the median objective there, in axis order.
    """

    parameter: str
    is_number: bool
    is_log: bool
    values: tuple[float | str, ...]
    objective: tuple[float, ...]
    numbers: tuple[int, ...]
    pruned: tuple[bool, ...]
    steps: tuple[tuple[float | str, float], ...]


class Rows(NamedTuple):
    """One slice per parameter, the largest differences between groups first."""

    metric: str
    slices: tuple[Slice, ...]


class SliceFigure(Figure):
    """The values of one decision at which good trials lie."""

    name, title, order, section = "slice", "One decision at a time", 52, Section.DECISIONS
    needs = frozenset({Need.SPACES})
    how_to_read = (
        "Each point is a trial (a cross if it was pruned), the line the median of neighbouring values of complete ones."
    )

    def rows(self, study: StudyRecord) -> Rows | None:
        done = shown_trials.with_values(study, _TRIALS)
        slices = []
        for name in sorted({name for trial in done for name in trial.params}):
            having = [trial for trial in done if name in trial.params]
            raw = [trial.params[name] for trial in having]
            if len({str(value) for value in raw}) < 2:
                continue
            number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in raw)
            values = tuple(float(value) if number else parameters.value(value) for value in raw)
            objective = tuple(float(trial.value or 0.0) for trial in having)
            log = number and shown_trials.is_log(name, having)
            slices.append(
                Slice(
                    name,
                    number,
                    log,
                    values,
                    objective,
                    tuple(trial.number for trial in having),
                    tuple(trial.state is TrialState.PRUNED for trial in having),
                    _steps(values, objective, [trial.state is TrialState.COMPLETE for trial in having]),
                )
            )
        # A few trials say little, however far apart they are.
        slices.sort(key=lambda one: _difference(one) * len(one.values) / len(done), reverse=True)
        return Rows(study.metric, tuple(slices[:_PARAMETERS])) if slices else None

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No parameter has been tried with two different values yet.")
        figure, sets = go.Figure(), []
        for index, part in enumerate(rows.slices):
            sets += [index, index]
            figure.add_scatter(
                x=part.values,
                y=part.objective,
                customdata=part.numbers,
                mode="markers",
                marker={
                    "color": [theme.GREY if pruned else theme.BLUE for pruned in part.pruned],
                    "symbol": ["x-thin-open" if pruned else "circle" for pruned in part.pruned],
                    "size": 7,
                    "opacity": 0.75,
                },
                hovertemplate="trial %{customdata}<br>%{x}: %{y:.4f}<extra></extra>",
                visible=index == 0,
                showlegend=False,
            )
            figure.add_scatter(
                x=[value for value, _ in part.steps],
                y=[middle for _, middle in part.steps],
                mode="lines+markers" if part.is_number else "markers",
                line={"color": theme.PURPLE, "width": 3},
                marker={"color": theme.PURPLE, "symbol": "diamond", "size": 10},
                name="median",
                hovertemplate="median %{y:.4f}<extra></extra>",
                visible=index == 0,
                showlegend=False,
            )
        figure = theme.styled(figure, x=parameters.label(rows.slices[0].parameter), y=wording.metric_name(rows.metric))
        figure.update_xaxes(type=_axis(rows.slices[0]))
        views = [
            (
                parameters.label(part.parameter),
                theme.visible_only(sets, index),
                {
                    "xaxis.title.text": parameters.label(part.parameter),
                    "xaxis.type": _axis(part),
                    "xaxis.autorange": True,
                },
            )
            for index, part in enumerate(rows.slices)
        ]
        return theme.menu(figure, views)


def _axis(part: Slice) -> str:
    return "log" if part.is_log else "linear" if part.is_number else "category"


def _difference(part: Slice) -> float:
    middles = [middle for _, middle in part.steps]
    return max(middles) - min(middles) if middles else 0.0


def _steps(
    values: tuple[float | str, ...], objective: tuple[float, ...], complete: list[bool]
) -> tuple[tuple[float | str, float], ...]:
    """Return the medians of complete trials: values of pruned ones come from fewer epochs."""
    kept = [(value, result) for value, result, done in zip(values, objective, complete, strict=True) if done]
    groups: dict[float | str, list[float]] = defaultdict(list)
    for value, result in kept:
        groups[value].append(result)
    if len(groups) <= 12 or isinstance(values[0], str):
        ordered = sorted(groups.items(), key=lambda item: (str(item[0]) if isinstance(item[0], str) else "", item[0]))
        return tuple((value, median(found)) for value, found in ordered)
    pairs = sorted((float(value), result) for value, result in kept)
    bins = min(10, len(pairs) // 4) or 1
    parts = [pairs[part * len(pairs) // bins : (part + 1) * len(pairs) // bins] for part in range(bins)]
    return tuple((median(value for value, _ in part), median(result for _, result in part)) for part in parts if part)


figure = SliceFigure()
