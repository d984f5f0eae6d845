from __future__ import annotations

from dataclasses import replace

from search.records.study import ClassResult, Evaluation, Measured, StudyRecord
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


def test_without_recall_the_tasks_own_first_measure_is_shown(study: StudyRecord) -> None:
    found = Evaluation(measured=(Measured("ant", {"iou": 0.5, "dice": 0.6}, 9), Measured("bee", {}, 0)))
    rows = figure.rows(replace(study, trials=(replace(study.trials[0], evaluation=found),)), (0,))
    assert rows is not None
    assert (rows.measure, rows.classes, rows.recalls) == ("iou", ("ant",), ((0.5,),))
    assert figure.draw(rows).layout.xaxis.title.text == "IoU"
