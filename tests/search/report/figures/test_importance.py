from __future__ import annotations

from dataclasses import replace

from search.records.study import StudyRecord, TrialState
from search.report import effects
from search.report.figures.importance import figure


def test_the_decision_that_matters_comes_first(study: StudyRecord) -> None:
    rows = figure.rows(study)
    assert rows is not None
    assert rows.decisions[0][0] == "freeze"
    assert abs(sum(row.share for row in rows.parameters) - 1) < 1e-6


def test_what_was_better_is_reported_with_its_numbers_of_trials(study: StudyRecord) -> None:
    rows = figure.rows(study)
    assert rows is not None
    for row in rows.parameters:
        found = effects.effect(row.parameter, effects.comparable(study), maximize=True)
        assert row.direction == ("" if found is None else str(found))
    drawn = figure.draw(rows).data[0]
    assert "units frozen" in drawn.y


def test_it_says_that_pruned_trials_count(study: StudyRecord) -> None:
    pruned = tuple(replace(trial, state=TrialState.PRUNED) for trial in study.trials if trial.value is not None)
    rows = figure.rows(replace(study, trials=pruned))
    assert rows is not None
    assert set(rows.trials.values()) == {len(pruned)}
    assert "complete and pruned trials" in figure.how_to_read
    assert "complete and pruned trials" in figure.draw(None).layout.annotations[0].text
