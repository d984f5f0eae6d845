from __future__ import annotations

from dataclasses import replace

from search.records.study import StudyRecord
from search.report.figures.slice import figure


def test_the_parameter_that_matters_comes_first_and_its_median_follows_it(study: StudyRecord) -> None:
    rows = figure.rows(study)
    assert rows is not None
    first = rows.slices[0]
    assert first.parameter == "freeze"
    by_value = dict(first.steps)
    assert by_value[3.0] > by_value[7.0]
    assert sorted(first.numbers) == [t.number for t in study.trials if t.state.value != "failed"]


def test_values_over_decades_get_a_log_axis(study: StudyRecord) -> None:
    trials = tuple(replace(trial, params={"lr": 10.0 ** -(trial.number % 4)}) for trial in study.trials)
    rows = figure.rows(replace(study, trials=trials))
    assert rows is not None
    assert rows.slices[0].is_log
    assert figure.draw(rows).layout.xaxis.type == "log"


def test_words_get_a_group_each(study: StudyRecord) -> None:
    rows = figure.rows(study)
    assert rows is not None
    names = next(found for found in rows.slices if found.parameter == "optimizer.name")
    assert [value for value, _ in names.steps] == ["AdamW", "SGD"]
