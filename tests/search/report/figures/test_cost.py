from __future__ import annotations

from dataclasses import replace

import pytest

from search.records import StudyRecord, TrialState
from search.report.figures.cost import figure


def test_minutes_add_up_in_every_view(study: StudyRecord) -> None:
    rows = figure.rows(study)
    assert rows is not None
    for label, bars in rows.views:
        spent = sum(bar.minutes for bar in bars if not bar.saved)
        assert spent == pytest.approx(sum(trial.seconds for trial in study.trials) / 60), label


def test_pruning_saved_the_epochs_that_were_not_run_at_each_trials_pace(study: StudyRecord) -> None:
    rows = figure.rows(study)
    assert rows is not None
    saved = next(bar for bar in rows.views[0][1] if bar.saved)
    pruned = [trial for trial in study.trials if trial.state is TrialState.PRUNED]
    assert saved.minutes == pytest.approx(len(pruned) * 50 / 2 * 3 / 60)


def test_caches_count_where_workers_recorded_them(study: StudyRecord) -> None:
    trials = (replace(study.trials[0], extras={"cache_saved_s": 120.0}), *study.trials[1:])
    rows = figure.rows(replace(study, trials=trials))
    assert rows is not None
    assert rows.views[0][1][-1].label.startswith("saved by cached features")
    assert rows.views[0][1][-1].minutes == 2.0
