from __future__ import annotations

from dataclasses import replace

import pytest

from search.records.study import ClassResult, Evaluation, StudyRecord
from search.report.figures.class_change import figure


def with_recalls(study: StudyRecord, before: list[float], after: list[float]) -> StudyRecord:
    def evaluation(recalls: list[float]) -> Evaluation:
        return Evaluation(tuple(ClassResult(f"c{i}", 1.0, recall, 1.0, 50) for i, recall in enumerate(recalls)), ())

    plain = replace(study.trials[0], evaluation=evaluation(before), value=0.1)
    best = replace(study.trials[1], evaluation=evaluation(after), value=0.9)
    return replace(study, trials=(plain, best))


def test_the_change_is_the_winners_recall_minus_the_plain_recipes(study: StudyRecord) -> None:
    rows = figure.rows(with_recalls(study, [0.5, 0.9, 0.7], [0.8, 0.6, 0.7]))
    assert rows is not None
    assert [row.name for row in rows.classes] == ["c1", "c2", "c0"]
    assert [row.after - row.before for row in rows.classes] == pytest.approx([-0.3, 0.0, 0.3])
    assert all(0.05 < row.margin < 0.3 for row in rows.classes)


def test_of_a_thousand_classes_the_largest_changes_are_drawn(study: StudyRecord) -> None:
    after = [0.5] * 1000
    after[77] = 1.0
    rows = figure.rows(with_recalls(study, [0.5] * 1000, after))
    assert rows is not None
    assert rows.classes[-1].name == "c77"
    assert len(rows.classes) + rows.left_out == 1000


def test_a_plain_recipe_that_wins_changes_nothing(study: StudyRecord) -> None:
    assert figure.rows(replace(study, trials=study.trials[:1])) is None
