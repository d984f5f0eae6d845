from __future__ import annotations

from dataclasses import replace

from search.records.study import StudyRecord
from search.report import ranking_table


def test_the_ranking_holds_every_trial_the_best_first(study: StudyRecord) -> None:
    rows = ranking_table.rows(study)
    assert len(rows) == len(study.trials)
    assert study.best is not None
    assert (rows[0].rank, rows[0].number) == ("1", str(study.best.number))
    assert rows[-1].state == "failed"


def test_every_column_has_its_heading(study: StudyRecord) -> None:
    headings = ranking_table.headings(study)
    assert len(headings) == len(ranking_table.Row._fields)
    assert headings[3] == "accuracy"


def test_ten_thousand_trials_are_ranked_quickly(study: StudyRecord) -> None:
    many = tuple(replace(study.trials[1 + number % 20], number=number) for number in range(10_000))
    assert len(ranking_table.rows(replace(study, trials=many), 50)) == 50
