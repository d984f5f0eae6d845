from __future__ import annotations

from search.records.states import TrialState


def test_a_trial_is_finished_when_it_will_not_run_again() -> None:
    assert {state for state in TrialState if state.is_finished} == {"complete", "pruned", "failed"}
