from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from search.records.study import Evaluation, Overlap, Repeat, StudyRecord, TrialRecord, TrialState
from search.report.gain import Proof, gain, margin


def judged(number: int, values: Sequence[float], value: float) -> TrialRecord:
    evaluation = Evaluation(resampled=tuple(values))
    return TrialRecord(number, TrialState.COMPLETE, value, is_baseline=number == 0, evaluation=evaluation)


def two(right: np.ndarray, plain: np.ndarray, draws: int = 4000) -> tuple[TrialRecord, TrialRecord]:
    """Return a winner and a baseline with these right answers, bootstrapped by NumPy on the same samples."""
    places = np.random.default_rng(0).integers(0, len(right), (draws, len(right)))
    return (
        judged(1, right[places].mean(axis=1).tolist(), float(right.mean())),
        judged(0, plain[places].mean(axis=1).tolist(), float(plain.mean())),
    )


def test_the_margin_of_an_accuracy_is_that_of_matched_pairs() -> None:
    drawn = np.random.default_rng(1)
    plain = (drawn.random(500) < 0.8).astype(float)
    right = np.where(drawn.random(500) < 0.1, 1 - plain, plain)
    best, baseline = two(right, plain)
    found = margin("accuracy", best, baseline, 1, 500)
    exact = 1.96 * np.sqrt(((right - plain).var() / 500) + 1 / 500**2)
    assert found == pytest.approx(exact, rel=0.05)


def test_a_few_samples_more_prove_nothing() -> None:
    plain = np.ones(100)
    plain[:4] = 0
    best, baseline = two(np.ones(100), plain)
    found = margin("accuracy", best, baseline, 1, 100)
    assert found is not None
    assert found > 0.04  # the exact McNemar test of 4 to 0 gives p = 0.125
    assert stats.binomtest(4, 4).pvalue > 0.05


def test_whoever_is_the_best_of_many_has_to_be_better() -> None:
    best, baseline = two(np.r_[np.ones(90), np.zeros(10)], np.r_[np.ones(80), np.zeros(20)])
    one, many = (margin("accuracy", best, baseline, count, 100) for count in (1, 50))
    assert one is not None
    assert many is not None
    assert many / one == pytest.approx(stats.norm.ppf(1 - 0.025 / 50) / stats.norm.ppf(0.975))


def test_the_margin_covers_what_the_luckiest_of_equal_candidates_gains() -> None:
    """Of 40 candidates as good as the plain recipe, 95 % of studies must not prove the best."""
    drawn, proven = np.random.default_rng(2), 0
    for _ in range(60):
        plain = (drawn.random(200) < 0.8).astype(float)
        # Each candidate answers 15 % of the samples anew, as well as before.
        anew = drawn.random((40, 200)) < 0.15
        others = np.where(anew, drawn.random((40, 200)) < 0.8, plain)
        best, baseline = two(others[others.mean(axis=1).argmax()], plain, 200)
        assert best.value is not None
        assert baseline.value is not None
        limit = margin("accuracy", best, baseline, 40, 200)
        assert limit is not None
        proven += best.value - baseline.value > limit
    assert proven <= 6


def test_any_metric_has_a_margin_from_its_replicates() -> None:
    draws = np.random.default_rng(3).normal(0, 1, (2, 200))
    best, baseline = judged(1, draws[0].tolist(), 0.3), judged(0, draws[1].tolist(), 0.4)
    found = margin("rmse", best, baseline, 1, 100)
    assert found == pytest.approx(1.96 * np.std(draws[0] - draws[1], ddof=1), rel=1e-3)
    assert margin("rmse", best, replace(baseline, evaluation=None), 1, 100) is None


def test_studies_of_older_versions_have_a_margin_for_accuracy(study: StudyRecord) -> None:
    found = gain(study)
    assert found is not None
    assert found.margin is not None
    values = [found.best.value or 0.0, found.baseline.value or 0.0]
    spread = np.sqrt(sum(value * (1 - value) / 30 for value in values))
    assert found.margin == pytest.approx(stats.norm.ppf(1 - 0.025 / found.candidates) * spread)
    assert found.candidates == 21


@pytest.mark.parametrize("maximize", [True, False])
def test_the_difference_is_that_of_the_numbers_shown(maximize: bool, study: StudyRecord) -> None:
    trials = (
        replace(study.trials[0], value=0.50004),
        replace(study.trials[1], value=0.75006 if maximize else 0.25006),
    )
    found = gain(replace(study, trials=trials, maximize=maximize, metric="accuracy" if maximize else "loss"))
    assert found is not None
    assert found.difference == pytest.approx(0.2501 if maximize else -0.2499)
    assert found.lead > 0


def proof(study: StudyRecord, lead: float, spread: float, **changes: object) -> Proof:
    draws = np.random.default_rng(4).normal(0, spread, 200)
    trials = (judged(0, [0.5] * 200, 0.5), judged(1, (0.5 + lead + draws).tolist(), 0.5 + lead))
    found = gain(replace(study, trials=trials, **changes))  # type: ignore[arg-type]
    assert found is not None
    return found.proof


def repeats(*gains: float) -> tuple[Repeat, ...]:
    plain = [Repeat(0, seed, state=TrialState.COMPLETE, value=0.5) for seed in range(len(gains))]
    better = [Repeat(1, seed, state=TrialState.COMPLETE, value=0.5 + gain) for seed, gain in enumerate(gains)]
    return (*plain, *better)


def test_fresh_seeds_decide_where_there_are_three_else_the_margin(study: StudyRecord) -> None:
    assert proof(study, 0.2, 0.01) is Proof.PROVEN
    assert proof(study, 0.05, 0.2) is Proof.CHANCE
    assert proof(study, 0.05, 0.2, repeats=repeats(0.05, 0.06, 0.04, 0.05)) is Proof.CONFIRMED
    assert proof(study, 0.2, 0.01, repeats=repeats(0.1, -0.1, 0.01)) is Proof.CHANCE
    assert proof(study, 0.1, 0.01, repeats=repeats(-0.02, -0.03, -0.02)) is Proof.CHANCE
    # So much worse that the plain recipe has the best mean, and wins.
    assert proof(study, 0.1, 0.01, repeats=repeats(-0.1, -0.11, -0.1)) is Proof.NONE
    assert proof(study, 0.2, 0.01, repeats=repeats(0.1, 0.1)) is Proof.PROVEN


def test_nothing_is_proven_on_samples_that_were_trained_on(study: StudyRecord) -> None:
    leaking = replace(study.dataset, overlaps=(Overlap("val", 3, 30, "a.png"),))
    assert proof(study, 0.2, 0.01, dataset=leaking) is Proof.UNKNOWN
    harmless = replace(study.dataset, overlaps=(Overlap("test", 3, 30, "a.png"),))
    assert proof(study, 0.2, 0.01, dataset=harmless) is Proof.PROVEN


def test_without_a_lead_there_is_nothing_to_prove(study: StudyRecord) -> None:
    alone = gain(replace(study, trials=study.trials[:1]))
    assert alone is not None
    assert (alone.proof, alone.margin, alone.candidates) == (Proof.NONE, None, 0)
    assert gain(replace(study, trials=())) is None
