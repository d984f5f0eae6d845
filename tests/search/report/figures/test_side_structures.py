from __future__ import annotations

from search.records.study import StudyRecord
from search.report.figures.side_structures import figure


def test_units_of_chosen_trials_are_aligned(study: StudyRecord) -> None:
    rows = figure.rows(study, (1, 3))
    assert rows is not None
    assert rows.numbers == (1, 3)
    assert rows.states[1] == (study.trials[3].size.unit_states if study.trials[3].size else ())
    assert list(figure.draw(rows).data[0].y) == ["pretrained", "trial 1", "trial 3"]
