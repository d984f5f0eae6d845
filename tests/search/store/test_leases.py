from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from search.errors import LeaseLostError, NotFoundError
from search.records.study import EpochRecord, StudyRecord, TrialState
from search.store import leases, reading, writing
from search.store.connection import Engine


@pytest.fixture
def study(engine: Engine, record: StudyRecord) -> str:
    writing.create_study(engine, record)
    return record.name


def finish(engine: Engine, claim: leases.Claim, value: float = 0.5) -> None:
    writing.finish_trial(
        engine,
        claim,
        writing.Ended(state=TrialState.COMPLETE, value=value, best_epoch=1, evaluation=None, ended="done", seconds=1.0),
    )


def test_numbers_are_assigned_up_to_the_target(engine: Engine, study: str) -> None:
    claims = [leases.claim(engine, study, "w", 60) for _ in range(4)]
    assert [claim.number if claim else None for claim in claims] == [0, 1, 2, None]


def test_a_higher_target_assigns_further_numbers(engine: Engine, study: str, record: StudyRecord) -> None:
    for _ in range(3):
        claim = leases.claim(engine, study, "w", 60)
        assert claim is not None
        finish(engine, claim)
    assert leases.claim(engine, study, "w", 60) is None
    writing.create_study(engine, replace(record, target=4))
    claim = leases.claim(engine, study, "w", 60)
    assert claim is not None
    assert claim.number == 3


def test_a_trial_handed_back_is_assigned_again_with_its_candidate(engine: Engine, study: str) -> None:
    first = leases.claim(engine, study, "w", 60)
    assert first is not None
    writing.record_candidate(
        engine, first, writing.Started(
        optuna_number=7, params={}, distributions={}, candidate={"x": 1}, words="x", is_baseline=True,
        seed=1, versions={}, dataset_fingerprint="ff",
    ))  # fmt: skip
    leases.release(engine, first)
    second = leases.claim(engine, study, "other", 60)
    assert second is not None
    assert (second.number, second.candidate, second.optuna_number, second.attempt) == (0, {"x": 1}, 7, 2)


def test_an_abandoned_trial_is_taken_over_and_its_old_owner_can_write_nothing(engine: Engine, study: str) -> None:
    dead = leases.claim(engine, study, "dead", -1)
    assert dead is not None
    heir = leases.claim(engine, study, "heir", 60)
    assert heir is not None
    assert heir.number == dead.number
    epoch = EpochRecord(1, 0.1, {"accuracy": 0.9})
    for write in (
        lambda: writing.record_epochs(engine, dead, [epoch]),
        lambda: leases.renew(engine, dead, 60),
        lambda: leases.release(engine, dead),
        lambda: finish(engine, dead, 0.99),
    ):
        with pytest.raises(LeaseLostError, match="another worker has taken it over"):
            write()
    trial = reading.load_study(engine, study).trials[0]
    assert (trial.state, trial.epochs, trial.worker) == (TrialState.RUNNING, (), "heir")


def test_a_renewed_lease_is_not_taken_over(engine: Engine, study: str) -> None:
    claim = leases.claim(engine, study, "w", -1)
    assert claim is not None
    leases.renew(engine, claim, 60)
    other = leases.claim(engine, study, "other", 60)
    assert other is not None
    assert other.number == 1


def test_a_trial_whose_workers_keep_dying_fails_with_its_attempts(engine: Engine, study: str) -> None:
    for _ in range(3):
        claim = leases.claim(engine, study, "doomed", -1)
        assert claim is not None
        assert claim.number == 0
    following = leases.claim(engine, study, "w", 60)
    assert following is not None
    assert following.number == 1
    trial = reading.load_study(engine, study).trials[0]
    assert trial.state is TrialState.FAILED
    assert trial.failure is not None
    assert "died 3 times" in trial.failure.message
    assert "doomed" in trial.failure.message


def test_no_trial_is_assigned_while_the_study_is_stopping(engine: Engine, study: str, record: StudyRecord) -> None:
    writing.request_stop(engine, study)
    assert leases.claim(engine, study, "w", 60) is None
    writing.create_study(engine, record)
    assert leases.claim(engine, study, "w", 60) is not None


def test_claiming_in_a_missing_study_is_refused(engine: Engine) -> None:
    with pytest.raises(NotFoundError, match="no study 'x'"):
        leases.claim(engine, "x", "w", 60)


PROGRAM = """
import sys
from search.records.study import TrialState
from search.store import connection, leases, writing
engine = connection.connect(sys.argv[1])
while (claim := leases.claim(engine, "s", sys.argv[2], 60)) is not None:
    print(claim.number)
    how = writing.Ended(state=TrialState.COMPLETE, value=1.0, best_epoch=1, evaluation=None, ended="", seconds=0.1)
    writing.finish_trial(engine, claim, how)
engine.dispose()
"""


def test_many_processes_share_the_numbers_exactly(
    engine: Engine, study: str, url: str, record: StudyRecord, tmp_path: Path, start_program: Callable[..., BaseProcess]
) -> None:
    writing.create_study(engine, replace(record, target=40))
    outputs = [tmp_path / f"{number}.txt" for number in range(4)]
    workers = [start_program(PROGRAM, url, output.stem, output=output) for output in outputs]
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 4
    numbers = [int(line) for output in outputs for line in output.read_text().split()]
    assert sorted(numbers) == list(range(40))
