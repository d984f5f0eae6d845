from __future__ import annotations

from search.records.study import StudyRecord
from search.report.figures.side_curves import figure


def test_chosen_trials_are_overlaid_in_every_metric(study: StudyRecord) -> None:
    rows = figure.rows(study, (1, 3))
    assert rows is not None
    assert [curve.number for curve in rows.curves] == [1, 3]
    assert rows.metrics == ("accuracy", "loss", "training loss")
    assert rows.curves[0].metrics["training loss"][0] == 2.0
    assert rows.curves[0].metrics["accuracy"] == tuple(e.metrics["accuracy"] for e in study.trials[1].epochs)
