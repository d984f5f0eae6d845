from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import torch

from search.artifacts.stores import Folder, claim_place
from search.errors import ConstraintError, LeaseLostError, RunError, TrialError
from search.records.study import EpochRecord, StudyRecord, TrialRecord, TrialState
from search.spec.faults import FaultOptions
from search.store import leases, reading, workers, writing
from search.store.history import optuna_trials
from search.store.leases import Claim
from search.trials.context import TrialContext
from search.trials.observer import Silent
from search.workers import worker
from search.workers.shutdown import StopSignal


@pytest.fixture
def context(ready: Callable[..., TrialContext]) -> TrialContext:
    """The context of a study of four trials."""
    faults = FaultOptions(max_retries=1, max_failures=3, database_timeout=0.0)
    return ready(lambda spec: replace(spec, search=replace(spec.search, trials=4), faults=faults))


def study_of(context: TrialContext) -> StudyRecord:
    return reading.load_study(context.engine, "colours")


def complete(context: TrialContext, claim: Claim) -> TrialState:
    asked = context.sampling.ask(claim.number)
    candidate = context.runtime.space.sample(asked.suggest)
    opened = context.sampling.open(asked)
    writing.record_candidate(
        context.engine, claim, writing.Started(
        optuna_number=opened, params=asked.params, distributions=asked.distributions,
        candidate=candidate.to_json(), words="x", is_baseline=False, seed=1, versions={}, dataset_fingerprint="f",
    ))  # fmt: skip
    writing.record_epochs(context.engine, claim, [EpochRecord(1, 0.1, {"accuracy": 0.5})])
    writing.finish_trial(
        context.engine,
        claim,
        writing.Ended(
            state=TrialState.COMPLETE,
            value=0.5,
            best_epoch=1,
            evaluation=None,
            ended="",
            seconds=1.0,
        ),
    )
    context.sampling.tell(opened, TrialState.COMPLETE, 0.5, None)
    return TrialState.COMPLETE


def failing(kind: str, *numbers: int):  # type: ignore[no-untyped-def]
    def run(context: TrialContext, claim: Claim) -> TrialState:
        if claim.number in numbers:
            asked = context.sampling.ask(claim.number)
            context.runtime.space.sample(asked.suggest)
            opened = context.sampling.open(asked)
            writing.record_candidate(
                context.engine, claim, writing.Started(optuna_number=opened, params=asked.params,
                distributions=asked.distributions, candidate={}, words="x", is_baseline=False, seed=1, versions={},
                dataset_fingerprint="f",
            ))  # fmt: skip
            raise TrialError(f"broken: {kind}", kind)
        return complete(context, claim)

    return run


def states(context: TrialContext) -> list[str]:
    return [trial.state.value for trial in study_of(context).trials]


def test_a_worker_is_named_after_host_and_process() -> None:
    assert worker.worker_name().endswith(f":{os.getpid()}")


def test_a_failure_of_the_candidate_ends_its_trial_and_counts_against_it(context: TrialContext) -> None:
    worker.work(context, StopSignal(), run=failing("nan", 1))
    assert states(context) == ["complete", "failed", "complete", "complete"]
    assert context.sampling.unfinished() == ()
    told = optuna.load_study(study_name="colours", storage=str(context.engine.url)).get_trials(deepcopy=False)
    assert [trial.state.name for trial in told] == ["COMPLETE", "PRUNED", "COMPLETE", "COMPLETE"]


def test_a_failure_of_the_machine_is_retried_and_then_reported_with_its_attempts(context: TrialContext) -> None:
    worker.work(context, StopSignal(), run=failing("disk", 1), worker="w")
    assert states(context) == ["complete", "failed", "complete", "complete"]
    trial: TrialRecord = study_of(context).trials[1]
    assert (trial.attempts, trial.failure is not None and trial.failure.kind) == (2, "disk")


def patient(context: TrialContext, seconds: float) -> TrialContext:
    spec = context.runtime.spec
    faults = replace(spec.faults, database_timeout=seconds)
    return replace(context, runtime=replace(context.runtime, spec=replace(spec, faults=faults)))


@pytest.mark.parametrize(
    "error",
    [
        TrialError("cannot write the checkpoint: the disk is full", "disk"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
    ],
)
def test_a_full_disk_is_waited_for_and_costs_no_attempt(context: TrialContext, error: Exception) -> None:
    failures = []

    def run(context: TrialContext, claim: Claim) -> TrialState:
        if claim.number == 1 and len(failures) < 5:  # more than retries and failures in a row together
            failures.append(claim.attempt)
            if isinstance(error, TrialError):
                raise error
            raise RuntimeError("the writer gave up") from error
        return complete(context, claim)

    worker.work(patient(context, 60.0), StopSignal(), run=run)
    assert states(context) == ["complete"] * 4
    assert len(failures) == 5


def test_a_disk_that_stays_full_costs_the_trial_in_the_end(
    context: TrialContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_DISK_S", 0.05)
    begin = time.monotonic()
    worker.work(patient(context, 0.4), StopSignal(), run=failing("disk", 1))
    assert time.monotonic() - begin >= 0.4
    trial: TrialRecord = study_of(context).trials[1]
    assert (trial.state.value, trial.failure is not None and trial.failure.kind) == ("failed", "disk")
    assert trial.attempts >= 3  # two of them counted
    assert states(context)[2:] == ["complete"] * 2


def test_a_place_that_is_gone_for_good_fails_no_trial(
    context: TrialContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_DISK_S", 0.05)
    key = "0123456789abcdef" * 2
    claim_place(Folder(tmp_path / "kept"), key)
    place = Folder(tmp_path / "kept", key)

    def run(context: TrialContext, claim: Claim) -> TrialState:
        if claim.number == 1:
            shutil.rmtree(tmp_path / "kept", ignore_errors=True)
        context.artifact_store.put("trial", b"x")
        return complete(context, claim)

    held = replace(patient(context, 0.3), artifact_store=place)
    with pytest.raises(RunError, match=r"checkpoints is gone: .*kept; put it back.*ftsearch artifacts STUDY --repair"):
        worker.work(held, StopSignal(), run=run)
    assert states(context) == ["complete", "waiting"]
    assert not (tmp_path / "kept").exists()  # an empty mount point must not be filled
    claim_place(Folder(tmp_path / "kept"), key)
    worker.work(replace(held, artifact_store=place), StopSignal(), run=complete)
    assert states(context) == ["complete"] * 4


def test_a_circle_of_causes_is_not_a_full_disk() -> None:
    error, other = RuntimeError("a"), RuntimeError("b")
    error.__cause__, other.__cause__ = other, error
    assert worker.failure_of(error).kind == "error"


def test_too_many_failures_in_a_row_stop_the_worker_with_their_common_cause(context: TrialContext) -> None:
    with pytest.raises(RunError, match=r"3 trials in a row have failed, 3 of them with \(error\): broken: error"):
        worker.work(context, StopSignal(), run=failing("error", 0, 1, 2, 3))
    assert states(context) == ["failed"] * 3


def test_a_lost_device_stops_the_worker_and_the_trial_goes_on_elsewhere(context: TrialContext) -> None:
    def run(_: TrialContext, claim: Claim) -> TrialState:
        raise RuntimeError("CUDA error: device-side assert triggered")

    with pytest.raises(RunError, match="the device can no longer be used"):
        worker.work(context, StopSignal(), run=run)
    assert states(context) == ["waiting"]


def test_out_of_memory_anywhere_is_reported_as_such(context: TrialContext) -> None:
    for error in (
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("CUBLAS_STATUS_ALLOC_FAILED"),
    ):
        assert worker.failure_of(error).kind == "memory"
    assert worker.failure_of(RuntimeError("shapes do not match")).kind == "error"


@pytest.mark.parametrize("ending", ["fails", "ends", "is told to leave"])
def test_a_worker_whose_trial_was_taken_over_writes_nothing_and_continues(context: TrialContext, ending: str) -> None:
    taken: list[Claim | None] = []

    def run(context: TrialContext, claim: Claim) -> TrialState:
        if claim.number != 0 or taken:
            return complete(context, claim)
        leases.renew(context.engine, claim, -1)  # asleep for longer than its lease
        taken.append(leases.claim(context.engine, "colours", "heir", 60))
        if ending == "fails":
            raise ValueError("woke up to find the wrong shapes")
        if ending == "is told to leave":
            return TrialState.WAITING
        raise LeaseLostError("taken over")

    stop_signal = StopSignal()

    class Watching(Silent):
        def trial_ended(self, number: int, state: TrialState, value: float | None, ended: str) -> None:
            raise AssertionError("nothing of it may be told")

    def until_others(context: TrialContext, claim: Claim) -> TrialState:
        state = run(context, claim)
        if claim.number == 3:
            stop_signal.reason = "enough"
        return state

    worker.work(replace(context, observer=Watching()), stop_signal, run=until_others)
    trials = study_of(context).trials
    assert [trial.state.value for trial in trials] == ["running", "complete", "complete", "complete"]
    assert (trials[0].worker, trials[0].failure, trials[0].epochs) == ("heir", None, ())


def test_workers_sign_on_and_off(context: TrialContext) -> None:
    seen = []

    def run(context: TrialContext, claim: Claim) -> TrialState:
        seen.extend(workers.present(context.engine, "colours"))
        return complete(context, claim)

    worker.work(context, StopSignal(), run=run, worker="me")
    assert {one.name for one in seen} == {"me"}
    assert seen[0].trials == (0,)
    assert workers.present(context.engine, "colours") == ()


def test_a_stopped_study_lets_its_worker_finish_the_trial_at_hand(context: TrialContext) -> None:
    def run(context: TrialContext, claim: Claim) -> TrialState:
        writing.request_stop(context.engine, "colours")
        return complete(context, claim)

    worker.work(context, StopSignal(), run=run)
    assert states(context) == ["complete"]


def test_a_worker_whose_study_was_deleted_exits(context: TrialContext) -> None:
    def run(context: TrialContext, claim: Claim) -> TrialState:
        writing.delete_study(context.engine, "colours")
        raise LeaseLostError("gone")

    worker.work(context, StopSignal(), run=run)


def test_optunas_orphans_are_closed_at_the_end(context: TrialContext) -> None:
    context.sampling.open(
        context.sampling.ask(99)
    )  # opened by a worker that died before it could write the number down
    worker.work(context, StopSignal(), run=complete)
    assert context.sampling.unfinished() == ()


def test_a_failed_trial_put_back_runs_again_with_its_candidate(context: TrialContext) -> None:
    def run(context: TrialContext, claim: Claim) -> TrialState:
        if claim.number == 1 and claim.attempt == 1:
            return failing("error", 1)(context, claim)
        return complete(context, claim)

    worker.work(context, StopSignal(), run=run)
    assert writing.retry_failed(context.engine, "colours") == (1,)
    worker.work(context, StopSignal(), run=run)
    assert states(context) == ["complete"] * 4
    assert study_of(context).trials[1].attempts == 2


def test_constraints_that_nothing_satisfies_stop_the_worker_and_count_as_no_trial(context: TrialContext) -> None:
    def run(held: TrialContext, claim: Claim) -> TrialState:
        if claim.number:
            raise ConstraintError("none of 64 candidates drawn satisfies the constraints")
        return complete(held, claim)

    with pytest.raises(ConstraintError, match="none of 64"):
        worker.work(context, StopSignal(), run=run)
    assert states(context) == ["complete", "waiting"]


def test_optuna_receives_all_objectives_of_a_trial_whose_worker_died(context: TrialContext) -> None:
    complete(context, claimed := leases.claim(context.engine, "colours", "w", 60) or pytest.fail("none"))
    known = optuna_trials(context.engine, "colours")
    assert known[0].value == 0.5
    assert (known[0].objectives, known[0].constraints, claimed.number) == ({}, {}, 0)
