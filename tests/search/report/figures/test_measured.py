from __future__ import annotations

import math
from dataclasses import replace

from search.records.study import Evaluation, Measured, StudyRecord
from search.report import theme
from search.report.figures.measured import figure


def with_results(study: StudyRecord, after: Evaluation, before: Evaluation | None) -> StudyRecord:
    best = study.best
    trials = tuple(
        replace(trial, evaluation=after if trial is best else before if trial.is_baseline else None)
        for trial in study.trials
    )
    return replace(study, trials=trials)


def results(*values: float) -> Evaluation:
    return Evaluation(
        measured=tuple(
            Measured(f"c{place}", {"average_precision": value, "recall": value / 2}, 10 + place)
            for place, value in enumerate(values)
        )
    )


def test_the_winner_is_drawn_beside_the_plain_recipe(study: StudyRecord) -> None:
    rows = figure.rows(with_results(study, results(0.9, 0.8), results(0.5, 0.7)))
    assert rows is not None
    assert rows.measures == ("average_precision", "recall")
    assert rows.classes[0].after == {"average_precision": 0.9, "recall": 0.45}
    assert rows.classes[0].before == {"average_precision": 0.5, "recall": 0.25}
    drawn = figure.draw(rows)
    assert [trace.name for trace in drawn.data if trace.visible and trace.name] == ["plain recipe", "winner"]
    assert drawn.data[2].x == (0.9, 0.8)
    assert [label for label, _ in theme.without_menu(drawn)] == ["average precision", "recall"]


def test_a_measure_that_is_not_defined_is_not_drawn(study: StudyRecord) -> None:
    rows = figure.rows(with_results(study, results(0.9, math.nan), None))
    assert rows is not None
    assert rows.classes[1].after == {}
    (winner,) = [trace for trace in figure.draw(rows).data if trace.name == "winner" and trace.visible]
    assert winner.x == (0.9,)


def test_of_very_many_classes_the_commonest_are_drawn_in_order(study: StudyRecord) -> None:
    rows = figure.rows(with_results(study, results(*(0.5 for _ in range(100))), None))
    assert rows is not None
    assert [row.name for row in rows.classes] == [f"c{place}" for place in range(60, 100)]
    assert rows.left_out == 60
    assert "60 rarer" in figure.draw(rows).layout.xaxis.title.text
