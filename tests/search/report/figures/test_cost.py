from __future__ import annotations

from dataclasses import replace

import pytest

from search.records.study import StudyRecord, TrialState
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


def test_reused_features_cost_what_computing_them_took_others(study: StudyRecord) -> None:
    def account(units: int, computed: int, reused: int, seconds: float) -> dict[str, object]:
        return {"prefix": {"train": {"units": units, "computed": computed, "reused": reused, "seconds": seconds}}}

    trials = list(study.trials)
    trials[0] = replace(trials[0], extras=account(5, 100, 0, 20.0))
    trials[1] = replace(trials[1], extras=account(5, 0, 300, 0.0))
    trials[2] = replace(trials[2], extras=account(7, 0, 100, 0.0))
    trials[3] = replace(trials[3], extras=account(2, 0, 999, 0.0))
    rows = figure.rows(replace(study, trials=tuple(trials)))
    assert rows is not None
    bar = rows.views[0][1][-1]
    assert bar.label.startswith("saved by cached features")
    assert bar.minutes == pytest.approx(400 * 0.2 / 60)
    assert bar.trials == 2


def test_accounts_of_another_shape_are_not_counted(study: StudyRecord) -> None:
    trials = (replace(study.trials[0], extras={"prefix": {"train": "x"}}), *study.trials[1:])
    rows = figure.rows(replace(study, trials=trials))
    assert rows is not None
    assert not any("cached" in bar.label for bar in rows.views[0][1])


@pytest.mark.parametrize("state", [TrialState.RUNNING, TrialState.WAITING, TrialState.FAILED])
def test_only_pruned_trials_have_saved_epochs(study: StudyRecord, state: TrialState) -> None:
    cut = replace(study.trials[4], state=state)
    rows = figure.rows(replace(study, trials=(*study.trials[:4], cut)))
    assert rows is not None
    assert not any(bar.saved for bar in rows.views[0][1])
