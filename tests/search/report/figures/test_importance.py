from __future__ import annotations

from search.records.study import StudyRecord
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
