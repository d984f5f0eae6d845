"""Whole candidates as lines across their most important decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import StudyRecord, TrialRecord
from search.report import parameters, shown_trials, theme, wording
from search.report.figures._base import Figure, Need, Section
from search.report.figures._scales import Scale, scale_of
from search.sampling.importance import importances

_TRIALS, _AXES = 150, 12
"""Most lines and axes: some two thousand points, which browsers draw at once and eyes still follow."""
BRUSHED = "brushed"
"""What the script of a report knows this figure by: what is selected in it filters the ranking."""
_JUDGED = 200
"""Most trials from which the importance of decisions is judged: the most important have the first axes."""


class Rows(NamedTuple):
    """Lines from axis to axis; ``places`` are heights in 0..1, None where a trial lacks the parameter.

    Attributes:
        good: the share of trials that are no better than this one, 0..1.
    """

    metric: str
    axes: tuple[Scale, ...]
    numbers: tuple[int, ...]
    values: tuple[float, ...]
    places: tuple[tuple[float | None, ...], ...]
    good: tuple[float, ...]
    left_out: int

    def inside(self, trials: Sequence[TrialRecord], brushed: Sequence[tuple[int, float]]) -> list[int]:
        """Return which ``trials`` go through all brushes, drawn or not.

        Args:
            brushed: the points that were brushed: the place of their axis, and their height on it.
        """
        heights: dict[int, list[float]] = {}
        for place, height in brushed:
            if 0 <= place < len(self.axes):
                heights.setdefault(place, []).append(height)
        return [trial.number for trial in trials if all(self._passes(trial, *brush) for brush in heights.items())]

    def _passes(self, trial: TrialRecord, place: int, heights: Sequence[float]) -> bool:
        scale = self.axes[place]
        value = trial.value if scale.name == wording.metric_name(self.metric) else trial.params.get(scale.name)
        if value is None or (scale.words and str(value) not in scale.words):
            return False
        if not scale.words and (not isinstance(value, int | float) or (scale.is_log and value <= 0)):
            return False
        height = round(scale.place(value), 4)
        return height in heights if scale.words else min(heights) <= height <= max(heights)


class ParallelCoordinates(Figure):
    """Which combinations of decisions work well (Inselberg 1985, https://doi.org/10.1007/BF01898350)."""

    name, title, order, section = "parallel_coordinates", "Combinations of decisions", 56, Section.TRIALS
    needs = frozenset({Need.SPACES})
    least_width = 820
    how_to_read = (
        "One line per trial across its decisions, the most important first, the objective at the right (of pruned "
        "trials as far as they came); strong lines are the best tenth. A gap means that the trial has no such "
        "parameter. Drag along an axis (hold Shift for a second one) to list only the trials that pass there; "
        "double-click to list all again."
    )

    def rows(self, study: StudyRecord) -> Rows | None:
        done = shown_trials.with_values(study, 10**9)
        if len(done) < 2:
            return None
        sign = -1.0 if study.maximize else 1.0
        done.sort(key=lambda trial: (sign * (trial.value or 0.0), trial.number))
        best = len(done) // 10 if len(done) > _TRIALS else 0
        chosen = (
            done
            if len(done) <= _TRIALS
            else [*done[: _TRIALS // 4], *theme.thinned_items(done[best:], _TRIALS * 3 // 4)]
        )
        chosen = list({trial.number: trial for trial in chosen}.values())
        names = sorted({name for trial in chosen for name in trial.params})
        scales = [
            scale_of(
                name,
                [trial.params[name] for trial in chosen if name in trial.params],
                log=shown_trials.is_log(name, chosen),
            )
            for name in names
        ]
        shares = importances(shown_trials.with_values(study, _JUDGED), maximize=study.maximize)
        having = {name: sum(name in trial.params for trial in chosen) for name in names}
        order = {name: (-shares.get(name, 0.0), -having[name]) for name in names}
        kept = sorted((scale for scale in scales if scale), key=lambda scale: order[scale.name])[:_AXES]
        if not kept:
            return None
        values = tuple(float(trial.value or 0.0) for trial in chosen)
        last = scale_of(wording.metric_name(study.metric), list(values))
        axes = (*kept, last) if last else tuple(kept)
        places = tuple(
            tuple(scale.place(trial.params[scale.name]) if scale.name in trial.params else None for scale in kept)
            + ((last.place(trial.value),) if last else ())
            for trial in chosen
        )
        rank = {trial.number: 1 - index / max(len(done) - 1, 1) for index, trial in enumerate(done)}
        return Rows(
            study.metric,
            axes,
            tuple(trial.number for trial in chosen),
            values,
            places,
            tuple(rank[trial.number] for trial in chosen),
            len(done) - len(chosen),
        )

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("Fewer than two trials have parameters and a value.")
        figure = go.Figure()
        groups = (("other trials", 0.0, 0.5, theme.GREY, 0.4, 1.0), ("better half", 0.5, 0.9, theme.BLUE, 0.6, 1.0))
        for label, low, high, colour, opacity, width in (*groups, ("best tenth", 0.9, 1.01, theme.PURPLE, 0.95, 2.2)):
            x: list[float | None] = []
            y: list[float | None] = []
            numbers: list[int | None] = []
            sizes: list[int] = []
            for number, places, good in zip(rows.numbers, rows.places, rows.good, strict=True):
                if low <= good < high:
                    x += [*range(len(rows.axes)), None]
                    y += [*(None if index is None else round(index, 4) for index in places), None]
                    numbers += [number] * (len(rows.axes) + 1)
                    sizes += [3 if _is_joined(places, axis) else 7 for axis in range(len(rows.axes))] + [3]
            if x:
                figure.add_scatter(
                    x=x,
                    y=y,
                    customdata=numbers,
                    mode="lines+markers",
                    marker={"size": sizes, "opacity": 1, "line": {"width": 0}},
                    line={"color": colour, "width": width},
                    opacity=opacity,
                    name=label,
                    hovertemplate="trial %{customdata}<extra></extra>",
                )
        for index, scale in enumerate(rows.axes):
            figure.add_vline(x=index, line={"color": theme.GREY, "width": 1}, layer="below")
            for height, text in scale.ticks:
                figure.add_annotation(x=index, y=height, text=text, showarrow=False, xanchor="left", font={"size": 10})
        note = f"{rows.left_out} further trials are not drawn" if rows.left_out else ""
        figure = theme.styled(figure, height=440, x=note)
        figure.update_xaxes(
            tickvals=list(range(len(rows.axes))),
            ticktext=[*map(_axis_name, rows.axes)],
            range=[-0.5, len(rows.axes) - 0.6],
            showgrid=False,
            tickangle=25,
            ticklabeloverflow="allow",
        )
        figure.update_yaxes(visible=False, range=[-0.06, 1.06])
        figure.update_layout(dragmode="select", meta=BRUSHED, margin={"r": 72})
        return figure


def _is_joined(places: Sequence[float | None], axis: int) -> bool:
    """Return whether a line goes from the trial's value on ``axis`` to a neighbour; without one it is a point."""
    return any(place is not None for place in (*places[max(axis - 1, 0) : axis], *places[axis + 1 : axis + 2]))


def _axis_name(scale: Scale) -> str:
    return theme.wrapped(parameters.label(scale.name), 40)


figure = ParallelCoordinates()
