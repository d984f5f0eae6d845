from __future__ import annotations

from search.records.study import StudyRecord
from search.report.figures.importance import direction, figure, from_best_to_worst


def test_the_decision_that_matters_comes_first(study: StudyRecord) -> None:
    rows = figure.rows(study)
    assert rows is not None
    assert rows.decisions[0][0] == "freeze"
    assert abs(sum(row.share for row in rows.parameters) - 1) < 1e-6


def test_pruned_trials_come_behind_complete_ones(study: StudyRecord) -> None:
    states = [trial.state.value for trial in from_best_to_worst(study)]
    assert states == sorted(states)


def test_the_direction_is_told(study: StudyRecord) -> None:
    done = from_best_to_worst(study)
    assert direction("tail", done, study) in ("lower is better", "")
    assert direction("optimizer.name", done, study).startswith("best: ")
    assert direction("absent", done, study) == ""
