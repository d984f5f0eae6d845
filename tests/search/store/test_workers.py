from __future__ import annotations

import pytest

from search.errors import NotFoundError
from search.records.study import EpochRecord, Failure, StudyRecord
from search.store import leases, workers, writing
from search.store.connection import Engine


def test_workers_are_seen_with_what_they_do_until_they_sign_off(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    for name in ("b:2", "a:1"):
        workers.enter(engine, "s", name, host=name[0], process=1, device="cpu")
    claim = leases.claim(engine, "s", "a:1", 60)
    assert claim is not None
    writing.record_epochs(engine, claim, [EpochRecord(1, 0.1, {}), EpochRecord(2, 0.1, {})])
    first, second = workers.present(engine, "s")
    assert (first.name, first.host, first.device, first.trials, first.epoch) == ("a:1", "a", "cpu", (0,), 2)
    assert (second.name, second.trials, second.epoch) == ("b:2", (), None)
    assert 0 <= first.silent_s < 60
    workers.enter(engine, "s", "a:1", host="a", process=2, device="cpu")  # started again under its old name
    workers.leave(engine, "s", "b:2", "nothing left to do")
    assert [one.name for one in workers.present(engine, "s")] == ["a:1"]


def test_a_worker_of_no_study_is_refused(engine: Engine) -> None:
    with pytest.raises(NotFoundError):
        workers.enter(engine, "x", "a:1", host="a", process=1, device="cpu")


def test_pace_counts_trials_by_the_hour_and_failures_by_reason(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    assert workers.pace(engine, "s") == workers.Pace(None, {})
    for kind in ("nan", "nan", "disk"):
        claim = leases.claim(engine, "s", "w", 60)
        assert claim is not None
        writing.fail_trial(engine, claim, Failure(kind, "x"))
    found = workers.pace(engine, "s")
    assert found.failures == {"nan": 2, "disk": 1}
    assert found.trials_per_hour is not None
    assert found.trials_per_hour > 3


def test_a_reason_that_a_terminal_would_obey_is_printable(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    claim = leases.claim(engine, "s", "w", 60)
    assert claim is not None
    writing.fail_trial(engine, claim, Failure("\x1b[2J", "x"))
    (reason,) = workers.pace(engine, "s").failures
    assert reason.isprintable()
