from __future__ import annotations

from dataclasses import replace

from search.records import ClassResult, Evaluation, StudyRecord
from search.report.figures.side_classes import figure


def test_classes_in_which_trials_differ_most_come_first(study: StudyRecord) -> None:
    def recalls(*found: float) -> Evaluation:
        return Evaluation(tuple(ClassResult(f"c{i}", 1, recall, 1, 10) for i, recall in enumerate(found)), ())

    trials = (
        replace(study.trials[0], evaluation=recalls(0.5, 0.9)),
        replace(study.trials[1], evaluation=recalls(0.5, 0.2)),
    )
    rows = figure.rows(replace(study, trials=trials), (0, 1))
    assert rows is not None
    assert rows.classes == ("c1", "c0")
    assert rows.recalls == ((0.9, 0.5), (0.2, 0.5))
