"""The objective against a candidate's cost, and the front of candidates that no other beats in both."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import plotly.graph_objects as go

from search.records import pareto
from search.records.objectives import QUANTISED
from search.records.study import Objective, StudyRecord, TrialRecord
from search.report import theme, wording
from search.report.figures._base import Figure, Section

KNEE = "knee: beyond it a little more quality costs a lot"
"""Said in the legend, since not every study has one."""
LATENCY = "latency_ms"
"""Key of ``TrialRecord.extras``: measured milliseconds of one forward pass."""


class _Cost(NamedTuple):
    """A cost: its name and how to read it; ``maximize`` if more of it is better."""

    name: str
    label: str
    title: str
    read: Callable[[TrialRecord], float | None]
    maximize: bool = False


_COSTS = (
    _Cost("parameters", "parameters", "parameters", lambda trial: trial.size.parameters if trial.size else None),
    _Cost("flops", "FLOPs", "FLOPs of one forward pass", lambda trial: trial.size.flops if trial.size else None),
    _Cost("train_seconds", "train seconds", "seconds of training", lambda trial: trial.seconds or None),
    _Cost("latency", "latency", "latency in ms", lambda trial: trial.extras.get(LATENCY)),
)


def _costs(study: StudyRecord) -> list[_Cost]:
    """Return the study's further objectives first, then the costs recorded for every trial."""
    usual = {cost.name: cost for cost in _COSTS}
    further = []
    for one in study.objectives[1:]:
        title = wording.metric_name(one.name if one.name != QUANTISED else f"int8 {study.metric}")
        plain = _Cost(one.name, title, title, partial(_objective, one.name), one.maximize)
        further.append(usual.pop(one.name, plain)._replace(maximize=one.maximize))
    return [*further, *usual.values()]


def _objective(name: str, trial: TrialRecord) -> float | None:
    return trial.objectives.get(name)


class Plane(NamedTuple):
    """Complete trials by one cost, the best first; ``front``, ``knee`` and ``winner`` are indices into them.

    Attributes:
        is_more: whether more of the cost is better, as for a second metric.
    """

    label: str
    title: str
    numbers: tuple[int, ...]
    costs: tuple[float, ...]
    values: tuple[float, ...]
    words: tuple[str, ...]
    front: tuple[int, ...]
    knee: int | None
    baseline: int | None
    winner: int | None
    is_more: bool = False


class Rows(NamedTuple):
    """One plane per recorded cost."""

    metric: str
    planes: tuple[Plane, ...]


class Pareto(Figure):
    """The loss of quality of smaller or faster networks."""

    name, title, order, section = "pareto", "Quality against cost", 80, Section.COST
    how_to_read = "The line joins trials that no other beats in both. The legend names what else is marked."

    def rows(self, study: StudyRecord) -> Rows | None:
        done = [trial for trial in study.ranking if wording.finite(trial.value)]
        planes = []
        for cost in _costs(study):
            known = [
                (float(found), trial)
                for trial in done
                if (found := cost.read(trial)) is not None and wording.finite(found)
            ]
            if known:
                planes.append(_plane(cost, known, study))
        return Rows(study.metric, tuple(planes)) if planes else None

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No trial is complete yet.")
        figure, sets = go.Figure(), []
        for index, plane in enumerate(rows.planes):
            kept = sorted({*theme.spread(plane.costs, plane.values), *plane.front})
            groups = [("complete", kept, {"color": theme.BLUE, "size": 7, "opacity": 0.6}, "markers")]
            groups.append(
                ("not beaten in both", list(plane.front), {"color": theme.PURPLE, "size": 9}, "lines+markers")
            )
            if plane.winner is not None:
                look = {"color": theme.GREEN, "size": 15, "symbol": "star"}
                groups.append(("winner", [plane.winner], look, "markers"))
            if plane.baseline is not None:
                look = {"color": theme.ORANGE, "size": 13, "symbol": "square"}
                groups.append(("plain recipe", [plane.baseline], look, "markers"))
            if plane.knee is not None:
                look = {"color": theme.RED, "size": 16, "symbol": "diamond-open", "line": {"width": 3}}
                groups.append((KNEE, [plane.knee], look, "markers"))
            for name, chosen, marker, mode in groups:
                sets.append(index)
                figure.add_scatter(
                    x=[plane.costs[point] for point in chosen],
                    y=[plane.values[point] for point in chosen],
                    customdata=[plane.numbers[point] for point in chosen],
                    text=[theme.wrapped(plane.words[point]) for point in chosen] if len(chosen) <= 500 else None,
                    hovertemplate=f"trial %{{customdata}}: %{{y:.4f}}, %{{x:.4s}} {plane.label}"
                    + ("<br>%{text}<extra></extra>" if len(chosen) <= 500 else "<extra></extra>"),
                    mode=mode,
                    line={"color": theme.PURPLE, "shape": "hv" if not plane.is_more else "vh", "width": 2},
                    marker=marker,
                    name=name,
                    visible=index == 0,
                )
        figure = theme.styled(figure, x=rows.planes[0].title, y=wording.metric_name(rows.metric))
        figure.update_xaxes(**_axis(rows.planes[0]))
        views = [
            (
                plane.label,
                theme.visible_only(sets, index),
                {"xaxis.title.text": plane.title, "xaxis.autorange": True}
                | {f"xaxis.{key}": value for key, value in _axis(plane).items()},
            )
            for index, plane in enumerate(rows.planes)
        ]
        return theme.menu(figure, views)


def _plane(cost: _Cost, known: Sequence[tuple[float, TrialRecord]], study: StudyRecord) -> Plane:
    costs = tuple(paid for paid, _ in known)
    values = tuple(trial.value or 0.0 for _, trial in known)
    losses = [-paid for paid in costs] if cost.maximize else costs
    pairs, tolerances = list(zip(values, costs, strict=True)), (0.0, Objective(cost.name, cost.maximize).tolerance)
    best_of_both = pareto.front(pairs, (study.maximize, cost.maximize), tolerances)
    front = tuple(sorted(best_of_both, key=lambda index: losses[index]))
    baseline = next((index for index, (_, trial) in enumerate(known) if trial.is_baseline), None)
    best = study.best  # not always the first: fresh trainings choose among the best few, and its cost may be unknown
    winner = next((index for index, (_, trial) in enumerate(known) if trial is best), None)
    return Plane(
        cost.label,
        cost.title,
        tuple(trial.number for _, trial in known),
        costs,
        values,
        tuple(trial.words for _, trial in known),
        front,
        None if baseline is None else _knee(losses, values, front, values[baseline], maximize=study.maximize),
        baseline,
        winner,
        cost.maximize,
    )


def _axis(plane: Plane) -> dict[str, object]:
    """Return the cost's axis: logarithmic for counts, bytes and seconds."""
    is_log = not plane.is_more and min(plane.costs) > 0
    if not is_log:
        return {"type": "linear", "tickmode": "auto", "tickvals": None, "ticktext": None}
    ticks = theme.log_ticks(min(plane.costs), max(plane.costs))
    words = [wording.count(tick) if tick >= 10 else f"{tick:g}" for tick in ticks]
    return {"type": "log", "tickmode": "array", "tickvals": ticks, "ticktext": words}


def _knee(
    losses: Sequence[float], values: Sequence[float], front: Sequence[int], plain: float, *, maximize: bool
) -> int | None:
    """Return the front's knee among the points that are no worse than the ``plain`` recipe."""
    sign = 1.0 if maximize else -1.0
    kept = [index for index in front if sign * values[index] >= sign * plain]
    is_log = all(losses[index] > 0 for index in kept)
    costs = [math.log(losses[index]) if is_log else losses[index] for index in kept]
    return knee_of(costs, [values[index] for index in kept], kept)


def knee_of(costs: Sequence[float], values: Sequence[float], front: Sequence[int]) -> int | None:
    """Return the index of the front's knee: the point farthest from the line through its ends, both axes scaled to 1.

    After Kneedle (https://doi.org/10.1109/ICDCSW.2011.20); None if the front has fewer than three points.
    """
    if len(front) < 3:
        return None
    wide, tall = costs[-1] - costs[0], values[-1] - values[0]
    if not wide or not tall:
        return None
    above = [(value - values[0]) / tall - (cost - costs[0]) / wide for cost, value in zip(costs, values, strict=True)]
    farthest = max(range(len(front)), key=lambda place: above[place])
    return front[farthest] if above[farthest] > 1e-9 else None


figure = Pareto()
