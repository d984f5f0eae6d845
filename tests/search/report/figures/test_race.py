from __future__ import annotations

from dataclasses import replace

from search.records.study import StudyRecord
from search.report.figures.race import figure


def test_every_study_has_a_line_that_only_improves(study: StudyRecord) -> None:
    rows = figure.rows((study, replace(study, name="other"), replace(study, name="empty", trials=())))
    assert rows is not None
    assert [line.name for line in rows.lines] == ["study", "other"]
    for line in rows.lines:
        assert list(line.best) == sorted(line.best)
        assert all(len(axis) == len(line.best) for axis in line.axes)
    assert study.best is not None
    assert rows.lines[0].best[-1] == study.best.value
