from __future__ import annotations

from search.records.study import StudyRecord
from search.report import theme
from search.report.figures.structure_strips import figure


def test_rows_are_sorted_by_metric_and_cells_are_units(study: StudyRecord) -> None:
    rows = figure.rows(study)
    assert rows is not None
    assert list(rows.values) == sorted(rows.values, reverse=True)
    assert all(len(states) == len(rows.units) == 8 for states in rows.states)
    assert rows.baseline == 0
    scale = figure.draw(rows).data[0].colorscale
    assert [step[0] for step in scale] == sorted(step[0] for step in scale)
    assert {step[1] for step in scale} == set(theme.UNITS.values())
