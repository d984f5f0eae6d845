from __future__ import annotations

import math

import numpy as np
import pytest

from search.records import uncertainty
from search.records.study import DatasetRecord, EpochRecord, Size, StudyRecord, TrialRecord, TrialState
from search.report.final import choice_sentence

ONE = (EpochRecord(1, 0.1, {"accuracy": 0.5}),)


def trial(number: int, value: float, *, probe: bool = False, backbone: str = "a") -> TrialRecord:
    """Return a linear probe, or a network that was trained for two epochs from one's solution."""
    candidate = {"structure": {"backbone": backbone, "number": number}}
    epochs = ONE if probe else ONE * 2
    facts = {"head_start": {"strength": 1.0}}
    size = Size(10, 1, 1)
    return TrialRecord(number, TrialState.COMPLETE, value, candidate=candidate, epochs=epochs, extras=facts, size=size)


def study(*trials: TrialRecord, spec: object = None) -> StudyRecord:
    data = DatasetRecord("d", (), {}, "", sizes={"train": 200, "val": 100})
    return StudyRecord("s", "t", "accuracy", True, "b", "w", data, 9, trials=trials, spec=spec)


def test_shares_have_the_error_of_independent_samples() -> None:
    draws = np.random.default_rng(0).binomial(120, 0.8, 100_000) / 120
    assert uncertainty.share_error("accuracy", 0.8, 120) == pytest.approx(draws.std(), rel=0.02)
    assert uncertainty.share_error("rmse", 0.8, 120) == 0
    assert uncertainty.share_error("accuracy", 0.8, 0) == 0
    assert uncertainty.share_error("accuracy", 1.0, 100) > 0


def test_a_linear_probe_that_is_ahead_by_chance_does_not_win() -> None:
    error = math.sqrt(0.9 * 0.1 / 100 + 0.87 * 0.13 / 100)
    assert error > 0.03
    found = study(trial(0, 0.9, probe=True), trial(1, 0.7), trial(2, 0.87), trial(3, 0.86))
    assert found.best is found.trials[2]
    assert found.probe_ahead is found.trials[0]
    assert [one.number for one in found.ranking] == [0, 2, 3, 1]
    assert "trial 0 has accuracy 0.9000, which 100 validation images cannot tell from 0.8700" in choice_sentence(found)
    assert "trial 2 wins" in choice_sentence(found)


@pytest.mark.parametrize(
    "others",
    [
        (trial(1, 0.8),),
        (trial(1, 0.89, backbone="b"),),
        (trial(1, 0.89, probe=True),),
        (),
    ],
    ids=["beaten by more than chance", "of another network", "no other is trained", "alone"],
)
def test_a_linear_probe_wins_where_no_trained_network_is_as_good(others: tuple[TrialRecord, ...]) -> None:
    found = study(trial(0, 0.9, probe=True), *others)
    assert found.best is found.trials[0]
    assert found.probe_ahead is None
    assert choice_sentence(found) == ""


def test_a_trained_network_that_is_ahead_wins() -> None:
    found = study(trial(0, 0.85, probe=True), trial(1, 0.9))
    assert found.best is found.trials[1]
    assert found.probe_ahead is None


def test_in_a_study_of_several_objectives_the_front_is_the_result() -> None:
    objectives = [{"name": "accuracy", "direction": "maximize"}, {"name": "parameters", "direction": "minimize"}]
    spec = {"study": {"objectives": objectives}}
    found = study(trial(0, 0.9, probe=True), trial(1, 0.89), spec=spec)
    assert len(found.objectives) == 2
    assert found.best is found.trials[0]
