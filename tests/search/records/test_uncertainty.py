from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from search.records import uncertainty
from search.records.study import DatasetRecord, Repeat, Size, StudyRecord, TrialRecord, TrialState
from search.report.final import choice_sentence


def trial(number: int, value: float, prior: int = 1, backbone: str = "a") -> TrialRecord:
    candidate = {"structure": {"backbone": backbone, "number": number}}
    facts = {"prior": prior} if prior else {}
    return TrialRecord(number, TrialState.COMPLETE, value, candidate=candidate, extras=facts, size=Size(10, 1, 1))


def study(*trials: TrialRecord, spec: object = None) -> StudyRecord:
    data = DatasetRecord("d", (), {}, "", sizes={"train": 200, "val": 100})
    return StudyRecord("s", "t", "accuracy", True, "b", "w", data, 9, trials=trials, spec=spec)


def test_shares_have_the_error_of_independent_samples() -> None:
    draws = np.random.default_rng(0).binomial(120, 0.8, 100_000) / 120
    assert uncertainty.share_error("accuracy", 0.8, 120) == pytest.approx(draws.std(), rel=0.02)
    assert uncertainty.share_error("rmse", 0.8, 120) == 0
    assert uncertainty.share_error("accuracy", 0.8, 0) == 0
    assert uncertainty.share_error("accuracy", 1.0, 100) > 0


def test_of_those_that_validation_cannot_tell_apart_the_kind_wins_that_did_better_on_other_data() -> None:
    error = math.sqrt(0.9 * 0.1 / 100 + 0.87 * 0.13 / 100)
    assert 0.03 < error < 0.05
    found = study(trial(0, 0.9, 0), trial(1, 0.84, 2), trial(2, 0.87), trial(3, 0.86))
    assert found.best is found.trials[2]
    assert found.ahead is found.trials[0]
    assert [one.number for one in found.ranking] == [0, 2, 3, 1]
    said = choice_sentence(found)
    assert (
        "trial 0 has accuracy 0.9000, which 100 validation images cannot tell apart from the 0.8700 of trial 2" in said
    )
    larger = study(*found.trials, trial(4, 0.865, 2))
    assert larger.best is larger.trials[4]


@pytest.mark.parametrize(
    "others",
    [(trial(1, 0.8),), (trial(1, 0.89, backbone="b"),), (trial(1, 0.89, 0),), ()],
    ids=["beaten by more than chance", "of another network", "no other is of a better kind", "alone"],
)
def test_the_best_value_wins_otherwise(others: tuple[TrialRecord, ...]) -> None:
    found = study(trial(0, 0.9, 0), *others)
    assert found.best is found.trials[0]
    assert found.ahead is None
    assert choice_sentence(found) == ""


def with_loss(one: TrialRecord, loss: object) -> TrialRecord:
    return replace(one, extras={**one.extras, uncertainty.CALIBRATED: loss})


def test_of_a_kind_the_least_calibrated_loss_wins_where_validation_cannot_tell() -> None:
    first, second, third = with_loss(trial(0, 0.9), 0.5), with_loss(trial(1, 0.89), 0.4), with_loss(trial(2, 0.8), 0.1)
    found = study(first, second, third)
    assert found.best is second
    assert found.ahead is first
    assert choice_sentence(found).endswith(
        "the latter wins, as its calibrated loss (what it knows, however sure it is) is lower: 0.4000 against 0.5000."
    )
    same = study(first, with_loss(trial(1, 0.9), 0.4))
    assert "trial 1 and trial 0 have the same accuracy, 0.9000; the former wins, as its" in choice_sentence(same)
    assert study(first, with_loss(trial(1, 0.89, 0), 0.4)).best is first, "a kind that did better elsewhere counts more"
    assert study(first, trial(1, 0.89)).best is first, "an unknown loss decides nothing"
    assert study(first, with_loss(trial(1, 0.89), "0.4")).best is first, "nor does one written by somebody else"
    assert study(first, with_loss(trial(1, 0.89), math.nan)).best is first
    assert study(first, with_loss(trial(1, 0.89), 0.497)).best is first, "nor does a difference of less than 1 %"
    by_loss = StudyRecord("s", "t", "loss", False, "b", "w", found.dataset, 9, trials=(first, second))
    assert by_loss.best is second, "another metric decides by itself"
    assert replace(by_loss, maximize=True).best is first


def test_of_fresh_trainings_the_least_mean_loss_wins_where_validation_cannot_tell() -> None:
    found = study(with_loss(trial(0, 0.9), 0.5), with_loss(trial(1, 0.89), 0.4))
    runs = (Repeat(0, 1, value=0.9, calibrated_loss=0.3), Repeat(1, 1, value=0.89, calibrated_loss=0.5))
    assert replace(found, repeats=runs).best is found.trials[0]
    runs = (runs[0], replace(runs[1], calibrated_loss=0.38))
    chosen = replace(found, repeats=runs)
    assert chosen.best is found.trials[1]
    assert choice_sentence(chosen) == (
        "Over 2 trainings, the search's own and fresh ones, trial 0 has mean accuracy 0.9000, which validation cannot "
        "tell apart from the 0.8900 of trial 1; the latter wins, as its calibrated loss (what it knows, however sure "
        "it is) is lower: 0.3900 against 0.4000."
    )
    assert replace(found, repeats=(runs[0], replace(runs[1], calibrated_loss=None))).best is found.trials[0]


def test_of_fresh_trainings_the_best_mean_that_validation_can_tell_wins() -> None:
    found = study(trial(0, 0.9, 0), trial(1, 0.89), trial(2, 0.88))
    runs = (Repeat(0, 1, value=0.9), Repeat(1, 1, value=0.85), Repeat(2, 1, value=0.89))
    retrained = replace(found, repeats=runs)
    assert [one.trial.number for one in retrained.contenders] == [2, 0, 1]
    assert retrained.best is found.trials[2]


def test_in_a_study_of_several_objectives_the_front_is_the_result() -> None:
    objectives = [{"name": "accuracy", "direction": "maximize"}, {"name": "parameters", "direction": "minimize"}]
    found = study(trial(0, 0.9, 0), trial(1, 0.89), spec={"study": {"objectives": objectives}})
    assert len(found.objectives) == 2
    assert found.best is found.trials[0]
