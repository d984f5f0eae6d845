"""What a model of all trials predicts for one parameter, averaged over the others; with its uncertainty."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from search.records.study import StudyRecord, TrialRecord, TrialState
from search.report import parameters, shown_trials, theme, wording
from search.report.figures._base import Figure, Need, Section

_TRIALS, _FEWEST, _GRID, _BACKGROUND, _PARAMETERS, _TREES = 500, 20, 16, 60, 10, 60


class Curve(NamedTuple):
    """Predicted objective along one parameter: the mean over trees, and the range of eight trees in ten."""

    parameter: str
    is_number: bool
    is_log: bool
    grid: tuple[float | str, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class Rows(NamedTuple):
    """Curves, those with the largest effect first; ``fit`` is the out-of-bag share of variance explained."""

    metric: str
    curves: tuple[Curve, ...]
    trials: int
    fit: float


class PartialDependence(Figure):
    """Partial dependence (Friedman 2001, https://doi.org/10.1214/aos/1013203451) of a random forest."""

    name, title, order, section = "partial_dependence", "What one decision does by itself", 54, Section.DECISIONS
    needs = frozenset({Need.SPACES})
    how_to_read = (
        "The line is what a random forest fitted to complete trials expects, averaged over the other decisions; "
        "the band holds eight of ten trees: where it is wide, the trials do not settle it."
    )

    def rows(self, study: StudyRecord) -> Rows | None:
        complete = [trial for trial in study.trials if trial.state is TrialState.COMPLETE]
        done = shown_trials.with_values(replace(study, trials=tuple(complete)), _TRIALS)
        if len(done) < _FEWEST or len({trial.value for trial in done}) < 2:
            return None
        from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415  # a second to load, not for every page

        columns = _columns(done)
        if not columns:
            return None
        inputs = np.array([[column.code(trial) for column in columns] for trial in done])
        target = np.array([trial.value for trial in done], dtype=float)
        forest = RandomForestRegressor(
            _TREES, min_samples_leaf=3, max_features=0.5, oob_score=True, random_state=0, n_jobs=1
        ).fit(inputs, target)
        shuffled = inputs[np.random.default_rng(0).permutation(len(inputs))]
        effects = []
        for index, column in enumerate(columns):
            having = shuffled[shuffled[:, index] >= column.low]
            curve = _curve(forest, having[:_BACKGROUND], index, column)
            effects.append(((max(curve.mean) - min(curve.mean)) * len(having) / len(inputs), curve))
        curves = [curve for _, curve in sorted(effects, key=lambda item: -item[0])]
        return Rows(study.metric, tuple(curves[:_PARAMETERS]), len(done), float(forest.oob_score_))

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence(
                f"A model of the trials needs at least {_FEWEST} complete ones with different values."
            )
        figure, sets = go.Figure(), []
        for index, curve in enumerate(rows.curves):
            sets += [index, index]
            band = {
                "x": [*curve.grid, *curve.grid[::-1]],
                "y": [*curve.high, *curve.low[::-1]],
                "fill": "toself",
                "mode": "none",
                "fillcolor": "rgba(0,114,178,0.2)",
            }
            errors = {
                "x": curve.grid,
                "y": curve.mean,
                "mode": "none",
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": [high - mean for high, mean in zip(curve.high, curve.mean, strict=True)],
                    "arrayminus": [mean - low for low, mean in zip(curve.low, curve.mean, strict=True)],
                    "color": theme.BLUE,
                },
            }
            figure.add_scatter(
                **(band if curve.is_number else errors),
                hoverinfo="skip",
                name="eight trees of ten",
                visible=index == 0,
                showlegend=False,
            )
            figure.add_scatter(
                x=curve.grid,
                y=curve.mean,
                mode="lines" if curve.is_number else "markers",
                line={"color": theme.BLUE, "width": 3},
                marker={"color": theme.BLUE, "size": 10},
                name="expected",
                hovertemplate="%{x}: %{y:.4f}<extra></extra>",
                visible=index == 0,
                showlegend=False,
            )
        views = [
            (parameters.label(curve.parameter), theme.visible_only(sets, index), _axis(curve, rows))
            for index, curve in enumerate(rows.curves)
        ]
        figure = theme.styled(figure, y=f"expected {wording.metric_name(rows.metric)}")
        figure.update_xaxes(title_text=views[0][2]["xaxis.title.text"], type=views[0][2]["xaxis.type"])
        return theme.menu(figure, views)


class _Column(NamedTuple):
    """One parameter as a number for the forest: trials without it lie below all others."""

    name: str
    words: tuple[str, ...]
    is_log: bool
    low: float
    high: float
    values: tuple[float, ...]

    def code(self, trial: TrialRecord) -> float:
        value = trial.params.get(self.name)
        if value is None:
            return self.low - 1.0
        return float(self.words.index(str(value))) if self.words else _scaled(float(value), log=self.is_log)


def _columns(done: list[TrialRecord]) -> list[_Column]:
    columns = []
    for name in sorted({name for trial in done for name in trial.params}):
        raw = [trial.params[name] for trial in done if name in trial.params]
        if len({str(value) for value in raw}) < 2:
            continue
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in raw):
            numbers = [float(value) for value in raw]
            log = shown_trials.is_log(name, done)
            codes = sorted({_scaled(value, log=log) for value in numbers})
            columns.append(_Column(name, (), log, codes[0], codes[-1], tuple(codes)))
        else:
            words = tuple(sorted({str(value) for value in raw}))
            columns.append(_Column(name, words, False, 0.0, len(words) - 1.0, tuple(map(float, range(len(words))))))
    return columns


def _scaled(value: float, *, log: bool) -> float:
    return float(np.log10(value)) if log else value


def _curve(forest: Any, background: np.ndarray, place: int, column: _Column) -> Curve:
    few = column.words or len(column.values) <= _GRID
    grid = np.array(column.values) if few else np.linspace(column.low, column.high, _GRID)
    inputs = np.repeat(background[None], len(grid), axis=0)
    inputs[:, :, place] = grid[:, None]
    flat = inputs.reshape(-1, background.shape[1]).astype(np.float32)
    trees = np.stack([tree.predict(flat, check_input=False) for tree in forest.estimators_])
    means = trees.reshape(len(trees), len(grid), -1).mean(axis=2)
    low, high = np.quantile(means, [0.1, 0.9], axis=0)
    shown: tuple[float | str, ...] = column.words or tuple(
        float(value) for value in (10**grid if column.is_log else grid)
    )
    rounded = [tuple(round(float(value), 6) for value in row) for row in (means.mean(axis=0), low, high)]
    return Curve(column.name, not column.words, column.is_log, tuple(shown), *rounded)


def _axis(curve: Curve, rows: Rows) -> dict[str, Any]:
    kind = "log" if curve.is_log else "linear" if curve.is_number else "category"
    fitted = f"{rows.trials} trials; explains {wording.percent(max(rows.fit, 0))} of unseen variation"
    note = f"{parameters.label(curve.parameter)}<br><sub>{fitted}</sub>"
    return {"xaxis.title.text": note, "xaxis.type": kind, "xaxis.autorange": True}


figure = PartialDependence()
