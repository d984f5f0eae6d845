from __future__ import annotations

from pathlib import Path

import pytest

from search.errors import NotFoundError
from search.report import shown_trials
from search.report.gather import chosen, completed, gather
from search.store import aggregates, connection, migrate, reading


@pytest.fixture
def engine(stored: str) -> connection.Engine:
    found = connection.connect(stored)
    migrate.upgrade(found)
    return found


def test_every_trial_is_there_and_the_shown_ones_are_whole(engine: connection.Engine) -> None:
    study, whole = gather(engine, "drawn"), reading.load_study(engine, "drawn")
    assert [trial.value for trial in study.trials] == [trial.value for trial in whole.trials]
    assert study.best is not None
    assert whole.best is not None
    assert study.best.evaluation == whole.best.evaluation
    assert study.best.size == whole.best.size
    for trial, full in zip(study.trials, whole.trials, strict=True):
        assert shown_trials.epochs_run(trial) == len(full.epochs)
        assert dict(trial.params) == dict(full.params)
        assert set(trial.distributions) == set(trial.params)
    for number in shown_trials.for_curves(study):
        assert study.trials[number].epochs == whole.trials[number].epochs


def test_what_no_figure_needs_is_not_read(engine: connection.Engine) -> None:
    study = completed(engine, aggregates.outline(engine, "drawn"), ())
    assert all(trial.evaluation is None and not trial.epochs for trial in study.trials)


def test_chosen_trials_are_whole(engine: connection.Engine) -> None:
    study = chosen(engine, aggregates.outline(engine, "drawn"), (3, 5))
    assert [trial.number for trial in study.trials if trial.epochs] == [3, 5]
    assert study.trials[3].candidate is not None


def test_an_unknown_study_is_refused(engine: connection.Engine, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'drawn'"):
        gather(engine, "drwn")
