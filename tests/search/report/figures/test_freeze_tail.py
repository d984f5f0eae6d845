from __future__ import annotations

from dataclasses import replace

from search.records.study import StudyRecord
from search.report.figures.freeze_tail import figure


def test_every_trial_with_a_value_is_counted_in_its_cell(study: StudyRecord) -> None:
    rows = figure.rows(study)
    assert rows is not None
    assert sum(cell.trials for cell in rows.cells) == sum(trial.value is not None for trial in study.trials)
    top = max(cell.best for cell in rows.cells)
    assert top == max(trial.value for trial in study.trials if trial.value is not None)
    assert rows.freeze_bins == tuple(str(place) for place in range(8))


def test_many_depths_are_put_together(study: StudyRecord) -> None:
    deep = replace(study.trials[1], candidate={"structure": {"choices": {"freeze": 40, "tail": 0}}})
    rows = figure.rows(replace(study, trials=(*study.trials, deep)))
    assert rows is not None
    assert rows.freeze_bins[0] == "0–5"
    assert len(rows.freeze_bins) <= 8


def test_no_interval_goes_beyond_the_network(study: StudyRecord) -> None:
    units = study.units * 3
    last = replace(study.trials[1], candidate={"structure": {"choices": {"freeze": len(units), "tail": 0}}})
    rows = figure.rows(replace(study, units=units, trials=(*study.trials, last)))
    assert rows is not None
    assert (rows.freeze_bins[0], rows.freeze_bins[-1]) == ("0–3", "24")
