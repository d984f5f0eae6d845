"""An observer that ignores everything takes whatever trials tell it."""

from __future__ import annotations

from search.records.study import EpochRecord, TrialState
from search.trials.observer import Silent


def test_silent_accepts_every_call_of_an_observer() -> None:
    observer = Silent()
    assert observer.trial_started(0, "ResNet-18", 3) is None  # type: ignore[func-returns-value]
    assert observer.epoch_done(0, EpochRecord(1, 0.5, {})) is None  # type: ignore[func-returns-value]
    assert observer.trial_ended(0, TrialState.COMPLETE, 0.5, "ran all 3 epochs") is None  # type: ignore[func-returns-value]
