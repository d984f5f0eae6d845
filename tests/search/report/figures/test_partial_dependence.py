from __future__ import annotations

import random
from dataclasses import replace

import pytest

from search.records.study import StudyRecord, TrialState
from search.report.figures.partial_dependence import figure


@pytest.fixture
def slope(study: StudyRecord) -> StudyRecord:
    rng = random.Random(1)
    trials = []
    for number in range(120):
        params = {"up": rng.uniform(0, 1), "kind": rng.choice(["good", "bad"]), "idle": rng.uniform(0, 1)}
        value = params["up"] + (0.5 if params["kind"] == "good" else 0.0) + rng.gauss(0, 0.02)
        trials.append(replace(study.trials[1], number=number, state=TrialState.COMPLETE, params=params, value=value))
    return replace(study, trials=tuple(trials))


def test_it_finds_the_effect_of_each_parameter(slope: StudyRecord) -> None:
    rows = figure.rows(slope)
    assert rows is not None
    curves = {curve.parameter: curve for curve in rows.curves}
    assert curves["up"].mean[-1] - curves["up"].mean[0] > 0.5
    kinds = dict(zip(curves["kind"].grid, curves["kind"].mean, strict=True))
    assert kinds["good"] - kinds["bad"] == pytest.approx(0.5, abs=0.2)
    assert max(curves["idle"].mean) - min(curves["idle"].mean) < 0.15
    assert rows.curves[-1].parameter == "idle"
    assert rows.fit > 0.7


def test_the_band_holds_the_mean(slope: StudyRecord) -> None:
    rows = figure.rows(slope)
    assert rows is not None
    for curve in rows.curves:
        assert all(low <= high for low, high in zip(curve.low, curve.high, strict=True))
        assert sum(low <= mean <= high for low, mean, high in zip(curve.low, curve.mean, curve.high, strict=True)) > 0


def test_too_few_trials_are_not_modelled(study: StudyRecord) -> None:
    assert figure.rows(replace(study, trials=study.trials[:10])) is None


def test_pruned_trials_are_not_fitted(slope: StudyRecord) -> None:
    pruned = tuple(replace(trial, state=TrialState.PRUNED) for trial in slope.trials[:110])
    assert figure.rows(replace(slope, trials=(*pruned, *slope.trials[110:]))) is None
