from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from search.records.study import StudyRecord, TrialRecord, TrialState
from search.report import effects
from search.report.effects import comparable, effect, intervals


def trials(study: StudyRecord, params: list[dict[str, Any]], values: list[float]) -> list[TrialRecord]:
    return [
        replace(study.trials[1], number=n, state=TrialState.COMPLETE, params=own, value=value)
        for n, (own, value) in enumerate(zip(params, values, strict=True))
    ]


def test_one_lucky_trial_is_not_a_best_value(study: StudyRecord) -> None:
    """The plain recipe alone kept its kernel, and the seven best trials all have 5x5."""
    kernels = [{"kernel": "keep"}] + [{"kernel": "5x5"}] * 7 + [{"kernel": "3x3"}] * 7
    values = [0.99] + [0.95 + 0.001 * n for n in range(7)] + [0.80 + 0.001 * n for n in range(7)]
    found = effect("kernel", trials(study, kernels, values), maximize=True)
    assert found == ("best: 5x5", 7, 8)
    assert str(found) == "best: 5x5 (n = 7 against 8)"


def test_two_trials_at_ranks_seven_and_ten_do_not_make_a_best_optimizer(study: StudyRecord) -> None:
    names = ["adamw"] * 6 + ["sgd", "adamw", "adamw", "sgd"]
    values = [0.95, 0.94, 0.93, 0.92, 0.91, 0.90, 0.89, 0.2, 0.1, 0.88]
    assert effect("name", trials(study, [{"name": name} for name in names], values), maximize=True) is None


def test_a_difference_that_chance_gives_is_none(study: StudyRecord) -> None:
    drawn, wrong = np.random.default_rng(0), 0
    for _ in range(100):
        params = [{"kind": "ab"[n % 2], "number": float(drawn.random())} for n in range(20)]
        made = trials(study, params, drawn.random(20).tolist())
        wrong += any(effect(name, made, maximize=True) for name in ("kind", "number"))
    assert wrong <= 20  # two intervals of 95 %, a little too narrow for 20 trials


@pytest.mark.parametrize("maximize", [True, False])
def test_numbers_have_a_direction(maximize: bool, study: StudyRecord) -> None:
    made = trials(study, [{"lr": float(n)} for n in range(12)], [n / 12 + (n % 3) / 50 for n in range(12)])
    assert str(effect("lr", made, maximize=maximize)) == f"{'higher' if maximize else 'lower'} is better (n = 12)"
    assert effect("lr", made[:9], maximize=maximize) is None
    assert effect("absent", made, maximize=maximize) is None


@pytest.mark.parametrize("slope", [0.0, 0.25, 0.4, 3.0])
def test_of_many_trials_the_interval_is_the_bootstraps_at_a_thousandth_of_its_price(
    slope: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = np.random.default_rng(1)
    values = drawn.random(400)
    quality = slope * values + drawn.normal(0, 0.5, 400)
    sides = quality[values > 0.7], quality[values <= 0.7]
    quick = [*effects._correlation_interval(values, quality), effects._least_difference(*sides)]
    monkeypatch.setattr(effects, "_MANY", 10**9)
    slow = [*effects._correlation_interval(values, quality), effects._least_difference(*sides)]
    assert quick == pytest.approx(slow, abs=0.02)
    assert effects._correlation_interval(values, np.ones(400)) == (0.0, 0.0)


def test_ten_thousand_trials_take_little_memory() -> None:
    drawn = np.random.default_rng(0)
    values, quality = drawn.random(10_000), drawn.random(10_000)
    tracemalloc.start()
    effects._correlation_interval(values, quality)
    effects._least_difference(quality[:5000], quality[5000:])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 5e6


def test_correlations_are_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    drawn = np.random.default_rng(0)
    values, quality = drawn.integers(0, 5, (3, 30)).astype(float), drawn.random((3, 30))
    right = [stats.spearmanr(*rows).statistic for rows in zip(values, quality, strict=True)]
    assert effects._correlations(values, quality).tolist() == pytest.approx(right)


def test_only_complete_trials_of_equal_epochs_are_compared(study: StudyRecord) -> None:
    short = replace(study.trials[1], number=99, epochs=study.trials[1].epochs[:2], value=0.999)
    found = comparable(replace(study, trials=(*study.trials, short)))
    assert {trial.state for trial in found} == {TrialState.COMPLETE}
    assert {len(trial.epochs) for trial in found} == {5}
    assert short not in found
    assert comparable(replace(study, trials=())) == []


def test_intervals_hold_what_matters_and_what_does_not(study: StudyRecord) -> None:
    drawn = np.random.default_rng(0)
    params = [{"up": float(drawn.random()), "idle": float(drawn.random())} for _ in range(60)]
    made = trials(study, params, [one["up"] + 0.01 * float(drawn.random()) for one in params])
    made = [replace(trial, distributions={}) for trial in made]
    space = '{"name": "FloatDistribution", "attributes": {"low": 0.0, "high": 1.0, "log": false, "step": null}}'
    made = [replace(trial, distributions={"up": space, "idle": space}) for trial in made]
    found = intervals(made, maximize=True)
    assert found["up"][0] > 0.5 > found["idle"][1]
    assert all(0 <= low <= high <= 1 for low, high in found.values())
    assert intervals(made[:2], maximize=True) == {}
