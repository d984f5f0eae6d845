from __future__ import annotations

import numpy as np
import pytest

from search.records.retrained import Repeat, means
from search.records.states import TrialState


def test_a_repeat_waits_with_all_labels_on_the_studys_own_cut() -> None:
    run = Repeat(trial=3, seed=1)
    assert (run.folds, run.fraction, run.state, run.value) == (1, 1.0, TrialState.WAITING, None)


def runs(trial: int, *values: float | None, **cut: float) -> list[Repeat]:
    return [Repeat(trial, seed, value=value, **cut) for seed, value in enumerate(values, 1)]  # type: ignore[arg-type]


def test_a_mean_counts_the_searchs_training_and_the_seeds_that_all_have() -> None:
    repeats = [*runs(7, 0.5, 0.7, 0.9), *runs(3, 0.8, 0.6), *runs(4, None), *runs(9, 0.1, fraction=0.5)]
    found = means(repeats, {7: 0.9, 3: 0.8, 4: 0.7, 9: 0.6})
    assert found == {7: (3, pytest.approx(np.mean([0.9, 0.5, 0.7]))), 3: (3, pytest.approx(np.mean([0.8, 0.8, 0.6])))}


def test_there_is_no_choice_without_the_best_of_the_search() -> None:
    assert means(runs(3, 0.8), {7: 0.9, 3: 0.8}) == {}
    assert means(runs(7, 0.8), {7: 0.9, 3: 0.8}) == {}
    assert means([], {}) == {}
