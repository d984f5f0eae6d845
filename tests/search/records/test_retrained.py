from __future__ import annotations

from search.records.retrained import Repeat
from search.records.states import TrialState


def test_a_repeat_waits_with_all_labels_on_the_studys_own_cut() -> None:
    run = Repeat(trial=3, seed=1)
    assert (run.folds, run.fraction, run.state, run.value) == (1, 1.0, TrialState.WAITING, None)
