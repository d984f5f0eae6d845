from __future__ import annotations

from search.records import StudyRecord
from search.report.figures.history import figure


def test_the_best_so_far_never_gets_worse_and_counts_complete_trials_only(study: StudyRecord) -> None:
    rows = figure.rows(study)
    assert rows is not None
    best = [value for value in rows.best if value is not None]
    assert best == sorted(best)
    assert study.best is not None
    assert best[-1] == study.best.value
    assert rows.baseline == study.trials[0].value
    assert rows.minutes[0] == 0.9
