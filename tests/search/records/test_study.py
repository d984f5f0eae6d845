from __future__ import annotations

from search.records.study import DatasetRecord, StudyRecord, TrialRecord, TrialState


def study(maximize: bool) -> StudyRecord:
    values = ((0, 0.5), (1, 0.9), (2, 0.9), (3, 0.1))
    trials = tuple(TrialRecord(number, TrialState.COMPLETE, value, is_baseline=number == 0) for number, value in values)
    pruned = TrialRecord(4, TrialState.PRUNED, 2.0)
    return StudyRecord("s", "t", "m", maximize, "b", "w", DatasetRecord("d", (), {}, ""), 5, trials=(*trials, pruned))


def test_the_best_complete_trial_wins_and_ties_go_to_the_earlier() -> None:
    assert [trial.number for trial in study(True).ranking] == [1, 2, 0, 3]
    assert [trial.number for trial in study(False).ranking] == [3, 0, 1, 2]


def test_the_baseline_is_found() -> None:
    found = study(True).baseline
    assert found is not None
    assert found.number == 0


def test_states_know_whether_they_are_final() -> None:
    assert [state for state in TrialState if state.is_finished] == [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAILED,
    ]
