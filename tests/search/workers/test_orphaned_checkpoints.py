from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from search.artifacts import partial_files
from search.artifacts import stores as artifacts
from search.artifacts.stores import Folder, resuming
from search.errors import TrialError
from search.records.study import EpochRecord, TrialState
from search.store import leases, repeats, writing
from search.store.leases import Claim
from search.store.repeats import RetrainingRequest
from search.trials.context import TrialContext
from search.workers import orphaned_checkpoints, worker
from search.workers.options import RunOptions
from search.workers.shutdown import StopSignal

KEY = "0123456789abcdef" * 2
STRAY = f"{resuming(KEY, 9)}epoch-00001-a.safetensors"


def name_of(stem: str, digest: str = "0") -> str:
    return f"{stem}-{digest * 16}.safetensors"


@pytest.fixture
def context(ready: Callable[..., TrialContext]) -> TrialContext:
    """A study of three trials that keeps one checkpoint; its place is marked."""
    context = ready(lambda spec: replace(spec, search=replace(spec.search, trials=3), keep_checkpoints=1), key=KEY)
    artifacts.claim_place(context.artifact_store, KEY)
    return context


def claimed(context: TrialContext) -> Claim:
    claim = leases.claim(context.engine, "colours", "w", 60)
    assert claim is not None
    return claim


def ended(context: TrialContext, value: float) -> Claim:
    """Return a trial that is complete and keeps its checkpoint."""
    claim = claimed(context)
    writing.record_epochs(context.engine, claim, [EpochRecord(1, 0.1, {"accuracy": value})])
    checkpoint = name_of(f"trial-{claim.number:05d}", str(claim.number))
    context.artifact_store.put(checkpoint, b"x")
    writing.finish_trial(
        context.engine, claim, writing.Ended(
        state=TrialState.COMPLETE, value=value, best_epoch=1, evaluation=None, ended="",
        seconds=1.0, checkpoint=checkpoint,
    ))  # fmt: skip
    return claim


def marked(context: TrialContext) -> list[str]:
    return [name for name in context.artifact_store.names() if not name.startswith("artifacts-")]


def test_leftovers_of_ended_trials_go_and_kept_checkpoints_stay(context: TrialContext) -> None:
    first = ended(context, 0.9)
    for name in (
        f"{resuming(KEY, first.number)}epoch-00001-a.safetensors",  # killed before its clean-up
        name_of("trial-00000", "b"),  # put by a worker whose lease was lost
        name_of("trial-00007"),  # of no trial that there is
        f"{resuming(KEY)}confirm-00000/epoch-00001-a.safetensors",
        name_of("refit-00003"),
    ):
        context.artifact_store.put(name, b"x")
    (context.artifact_store.root / "report.html").touch()  # type: ignore[attr-defined]
    (context.artifact_store.root / "worker-0.log").touch()  # type: ignore[attr-defined]
    assert len(orphaned_checkpoints.sweep(context)) == 5
    assert marked(context) == ["report.html", name_of("trial-00000"), "worker-0.log"]
    assert sorted(path.name for path in context.artifact_store.root.iterdir()) == [  # type: ignore[attr-defined]
        *sorted([f"artifacts-{KEY}", "report.html", name_of("trial-00000"), "worker-0.log"])
    ]
    assert orphaned_checkpoints.sweep(context) == ()


def test_a_surplus_checkpoint_goes(context: TrialContext) -> None:
    for value in (0.5, 0.9, 0.7):  # each killed before it removed those that are no longer among the best
        ended(context, value)
    orphaned_checkpoints.sweep(context)
    assert marked(context) == [name_of("trial-00001", "1")]


def test_what_a_running_trial_writes_is_never_touched(context: TrialContext) -> None:
    claim = claimed(context)
    mine = [
        f"{resuming(KEY, claim.number)}epoch-00001-a.safetensors",
        f"{resuming(KEY, claim.number)}epoch-00002-a.safetensors",
        name_of("trial-00000"),
    ]
    for name in mine:
        context.artifact_store.put(name, b"x")
    assert orphaned_checkpoints.sweep(context) == ()
    assert marked(context) == sorted(mine)
    writing.record_resume(context.engine, claim, mine[1:2])
    leases.release(context.engine, claim)
    assert set(orphaned_checkpoints.sweep(context)) == {mine[0], mine[2]}  # nobody goes on from these
    assert marked(context) == [mine[1]]


def test_a_failed_trial_can_still_be_put_back_with_its_last_checkpoint(context: TrialContext) -> None:
    claim = claimed(context)
    name = f"{resuming(KEY, claim.number)}epoch-00001-a.safetensors"
    context.artifact_store.put(name, b"x")
    writing.record_resume(context.engine, claim, [name])
    writing.fail_trial(context.engine, claim, worker.failure_of(TrialError("full", "disk")))
    assert orphaned_checkpoints.sweep(context) == ()
    writing.retry_failed(context.engine, "colours")
    assert claimed(context).resume == (name,)


@pytest.mark.parametrize("kind", repeats.KINDS)
def test_confirmations_and_refits_own_their_checkpoints(context: TrialContext, kind: str) -> None:
    repeats.add(
        context.engine,
        "colours",
        kind,
        [RetrainingRequest({"a": 1}, {}, "", 0), RetrainingRequest({"a": 2}, {}, "", 0)],
    )
    own = f"{resuming(KEY)}{kind}-00000/epoch-00001-a.safetensors"
    other = f"{resuming(KEY)}{kind}-00001/epoch-00001-a.safetensors"
    claim = leases.claim(context.engine, repeats.name_of("colours", kind), "w", 60)
    assert claim is not None
    for name in (own, other, name_of(f"{kind}-00000")):
        context.artifact_store.put(name, b"x")
    child = replace(context, runtime=replace(context.runtime, spec=replace(context.runtime.spec, name=claim.study)))
    assert orphaned_checkpoints.sweep(child) == (other,)
    assert orphaned_checkpoints.sweep(context) == ()


def test_in_a_place_that_studies_share_only_what_bears_the_key_goes(context: TrialContext) -> None:
    other = "fedcba9876543210" * 2
    artifacts.claim_place(context.artifact_store, other)
    theirs = [f"{resuming(other, 0)}epoch-00001-a.safetensors", name_of("trial-00000")]
    for name in (*theirs, f"{resuming(KEY, 0)}epoch-00001-a.safetensors"):
        context.artifact_store.put(name, b"x")
    orphaned_checkpoints.sweep(context)
    assert marked(context) == theirs


def test_half_written_files_of_dead_workers_go(context: TrialContext) -> None:
    root: Path = context.artifact_store.root  # type: ignore[attr-defined]
    dead = partial_files.name_for(".safetensors").replace(f"-{os.getpid()}-", "-4194305-")
    (root / dead).touch()
    (root / resuming(KEY, 0)).mkdir()
    (root / resuming(KEY, 0) / dead).touch()
    alive = root / partial_files.name_for(".safetensors")
    alive.touch()
    orphaned_checkpoints.sweep(context)
    assert {path.name for path in root.iterdir()} == {f"artifacts-{KEY}", alive.name}


def test_a_place_that_cannot_be_reached_stops_nobody(
    context: TrialContext, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> tuple[str, ...]:
        raise TrialError("cannot list the checkpoints: stale file handle", "disk")

    monkeypatch.setattr(Folder, "names", fail)
    assert orphaned_checkpoints.sweep(context) == ()
    assert "stale file handle" in caplog.text


def test_workers_sweep_when_they_start(context: TrialContext, tmp_path: Path) -> None:
    context.artifact_store.put(STRAY, b"x")
    opened = worker.open_context(
        context.runtime,
        context.engine,
        RunOptions(storage=str(context.engine.url)),
        tmp_path,
        StopSignal(),
        artifact_store=context.artifact_store,
        key=KEY,
    )
    with opened:
        assert marked(context) == []


@pytest.mark.parametrize("others_run", [True, False])
def test_workers_sweep_when_they_are_idle_once_for_every_change(
    context: TrialContext, monkeypatch: pytest.MonkeyPatch, others_run: bool
) -> None:
    stop_signal, seen = StopSignal(), []
    for _ in range(2 if others_run else 3):
        ended(context, 0.5)
    if others_run:
        claimed(context)
    context.artifact_store.put(STRAY, b"x")
    calls: list[int] = []
    monkeypatch.setattr(worker, "sweep", lambda held: calls.append(1) or orphaned_checkpoints.sweep(held))

    def wait(*_: object) -> None:
        seen.append(STRAY in context.artifact_store.names())
        stop_signal.reason = "enough" if len(seen) == 3 else ""

    monkeypatch.setattr(worker._Shift, "_wait", wait)
    worker.work(context, stop_signal, idle_exit_s=60.0)
    assert seen == [False] * 3
    assert len(calls) == 1
