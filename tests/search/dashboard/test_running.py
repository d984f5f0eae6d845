from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from search.dashboard import running
from search.dashboard.study_cache import StudyCache
from search.records.study import OPEN, EpochRecord, Refit, Repeat, StudyRecord, TrialState

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def growing(study: StudyRecord, done: int, target: int) -> StudyRecord:
    """Return ``study`` with ``done`` trials, a minute each, one after the other, and a running one."""
    begin = NOW - timedelta(minutes=done)
    moments = [(begin + timedelta(minutes=n), begin + timedelta(minutes=n + 1)) for n in range(done)]
    ended = tuple(
        replace(trial, state=TrialState.COMPLETE, started_at=first, finished_at=last)
        for trial, (first, last) in zip(study.trials, moments, strict=False)
    )
    epochs = tuple(EpochRecord(n, 1.0, {"accuracy": value}) for n, value in enumerate((0.5, 0.75), 1))
    last = replace(study.trials[done], state=TrialState.RUNNING, started_at=NOW, finished_at=None, epochs=epochs)
    return replace(study, trials=(*ended, last), target=target)


@pytest.fixture
def study(cache: StudyCache) -> StudyRecord:
    return growing(cache.study("drawn"), 6, 16)


def test_the_time_left_is_what_the_last_trials_took(study: StudyRecord) -> None:
    assert running.seconds_left(study, NOW) == pytest.approx(600)
    assert running.seconds_left(study, NOW + timedelta(seconds=30)) == pytest.approx(570)
    assert running.seconds_left(study, NOW + timedelta(hours=1)) == 0
    assert running.seconds_left(replace(study, trials=study.trials[-1:]), NOW) is None


def test_what_takes_longer_than_it_should_have_no_time_left(study: StudyRecord) -> None:
    text = str(running.parts(study, NOW + timedelta(hours=1)))
    assert "6 of 16 trials done'" in text


def test_two_workers_halve_it(study: StudyRecord) -> None:
    twice = [replace(trial, number=trial.number + 100) for trial in study.trials[:-1]]
    both = replace(study, trials=(*study.trials, *twice), target=22)
    assert running.seconds_left(both, NOW) == pytest.approx(300)


def test_a_study_that_runs_has_a_bar_and_the_curve_of_each_running_trial(study: StudyRecord) -> None:
    text = str(running.parts(study, NOW))
    assert "6 of 16 trials done, about 10 min 00 s left" in text
    assert "max='16', value='6'" in text
    assert "Trial 6" in text
    assert "is in epoch 3 of 5, accuracy 0.7500 so far" in text
    assert "accuracy by epoch: 0.5000, 0.7500" in text
    drawn = base64.b64decode(text.split("base64,")[1].split("'", maxsplit=1)[0]).decode()
    assert "stroke-dasharray" in drawn
    assert len(drawn.split('points="')[1].split('"')[0].split()) == 2


def test_a_study_without_an_end_has_no_time_left(study: StudyRecord) -> None:
    text = str(running.parts(replace(study, target=OPEN), NOW))
    assert "6 trials done'" in text
    assert "max=" not in text


def test_a_study_that_rests_has_none_of_it(study: StudyRecord) -> None:
    assert running.parts(replace(study, trials=study.trials[:-1]), NOW) == []


def test_a_trial_before_its_first_epoch_has_no_curve(study: StudyRecord) -> None:
    young = replace(study, trials=(*study.trials[:-1], replace(study.trials[-1], epochs=())))
    text = str(running.parts(young, NOW))
    assert "is in epoch 1 of" in text
    assert "svg" not in text


def limited(study: StudyRecord, begun: datetime) -> StudyRecord:
    return replace(study, created_at=begun, spec={"study": {"search": {"timeout": 400.0}}})


def test_a_time_limit_that_comes_first_is_what_is_left(study: StudyRecord) -> None:
    near = limited(study, NOW - timedelta(seconds=340))
    assert "6 of 16 trials done; the time limit leaves 1 min 00 s, the final model included" in str(
        running.parts(near, NOW)
    )
    far = replace(near, target=7)
    assert "6 of 7 trials done, about" in str(running.parts(replace(far, created_at=NOW), NOW))
    assert "6 trials done; the time limit leaves" in str(running.parts(replace(near, target=OPEN), NOW))


def test_a_later_runs_limit_is_unknown(study: StudyRecord) -> None:
    assert running.limit_left(limited(study, NOW - timedelta(hours=1)), NOW) is None
    assert running.limit_left(study, NOW) is None


def test_trainings_after_the_search_are_shown_while_they_run(study: StudyRecord) -> None:
    ended = replace(study, trials=study.trials[:-1])
    fresh = (Repeat(1, 1, state=TrialState.COMPLETE, value=0.5), Repeat(1, 2, state=TrialState.RUNNING), Repeat(1, 3))
    text = str(running.parts(replace(ended, repeats=fresh), NOW))
    assert "The best candidates are trained again with fresh seeds: 1 of 3 trainings done" in text
    assert "max='3', value='1'" in text
    assert "trials done" not in text
    final = Refit(0, 1, "words", {}, "train+val", 5, ema=False, tta=False, state=TrialState.RUNNING)
    text = str(running.parts(replace(ended, finals=(final,)), NOW))
    assert "The final model is being trained: 0 of 1 training done" in text
