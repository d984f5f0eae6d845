from __future__ import annotations

from dataclasses import replace

import pytest

from search.records.study import StudyRecord, TrialState
from search.report.figures.side_curves import figure


def test_chosen_trials_are_overlaid_in_every_metric(study: StudyRecord) -> None:
    rows = figure.rows(study, (1, 3))
    assert rows is not None
    assert [curve.number for curve in rows.curves] == [1, 3]
    assert rows.metrics == ("accuracy", "loss", "training loss")
    assert rows.curves[0].metrics["training loss"][0] == 2.0
    assert rows.curves[0].metrics["accuracy"] == tuple(e.metrics["accuracy"] for e in study.trials[1].epochs)


@pytest.mark.parametrize("state", [TrialState.RUNNING, TrialState.PRUNED, TrialState.FAILED])
def test_trials_that_are_not_complete_are_named_by_their_state(study: StudyRecord, state: TrialState) -> None:
    trials = (study.trials[0], replace(study.trials[1], state=state), *study.trials[2:])
    drawn = figure.draw(figure.rows(replace(study, trials=trials), (0, 1)))
    assert [trace.name for trace in drawn.data] == ["trial 0", f"trial 1 ({state})"]
