"""The loop of a worker: claim a trial, keep its lease, run it, hand it back on a stop signal, claim the next."""

from __future__ import annotations

import logging
import os
import random
import socket
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from search.artifacts.stores import ArtifactStore, Folder, gone
from search.errors import (
    ConstraintError,
    DatabaseError,
    LeaseLostError,
    NotFoundError,
    RunError,
    StudyBackboneError,
    UserError,
)
from search.records.study import Failure, TrialState
from search.runtime.study_runtime import StudyRuntime
from search.sampling import optuna_storage
from search.sampling.optuna_study import Sampling, data_seed
from search.sampling.pruners import Curves
from search.spec.faults import CANDIDATES_FAULT, DISK_FAULT, MACHINES_FAULT
from search.store import leases, migrate, reading, workers, writing
from search.store.connection import Engine, insist, optuna_options, patience_of, share, tune
from search.store.history import StudyHistory, optuna_trials
from search.store.leases import Claim
from search.store.reading import Progress
from search.store.urls import str_url
from search.training import out_of_memory
from search.trials.context import TrialContext
from search.trials.observer import OBSERVED
from search.trials.parallel_heads import ParallelHeads
from search.trials.settled import Settlement
from search.trials.time_reserve import reserve_of
from search.workers.failures import failure_of
from search.workers.heartbeat import Heartbeat
from search.workers.options import RunOptions
from search.workers.orphaned_checkpoints import sweep
from search.workers.shutdown import PARENT_VARIABLE, StopSignal, obeying_signals

__all__ = ["PARENT_VARIABLE", "StopSignal", "obeying_signals", "open_context", "reconcile", "work", "worker_name"]

logger = logging.getLogger(__name__)
POLL_S = 1.0
"""Seconds between an idle worker's checks for trials that others have given up; grows to five times as long."""
_DISK_S = 5.0
"""Seconds before a trial whose disk was full is tried again."""
_ORPHAN_S = 600.0
"""Seconds for which Optuna may hold a trial open whose number none of our trials has recorded."""


@contextmanager
def open_context(
    runtime: StudyRuntime,
    engine: Engine,
    options: RunOptions,
    folder: Path,
    stop_signal: StopSignal,
    *,
    artifact_store: ArtifactStore | None = None,
    key: str = "0" * 8,
) -> Iterator[TrialContext]:
    """Return the context of one worker's trials: the runtime, the store, and Optuna's storage in it.

    Trials that Optuna still holds open although ours have ended (their worker died in between) are reported to it.

    Args:
        options: whose ``placement`` may name a proxy through which Optuna's storage is reached instead.
        artifact_store: where checkpoints go, ``folder`` by default; ``key`` marks those of this study.
    """
    spec = runtime.spec
    insisting = partial(insist, patience=patience_of(engine))
    url, proxy = options.storage, options.placement.proxy

    def prepare(optunas: Engine) -> None:
        tune(optunas)
        share(engine, optunas)

    if proxy is None:
        open_tables = migrate.exclusive(engine)(
            lambda: optuna_storage.open_storage(str_url(url), optuna_options(url), prepare, insisting)
        )
        storage = insisting(open_tables, "Optuna's tables")
    else:
        storage = optuna_storage.open_proxy(proxy, insisting)
    history = StudyHistory(engine, spec.name, spec.objective)
    sampling = Sampling(
        storage,
        spec.name,
        maximize=spec.maximize,
        options=spec.search.sampler,
        seed=data_seed(spec.search.seed, runtime.dataset.fingerprint),
        further=spec.goals.further,
        history=lambda: history.trials,
    )
    curves = Curves(maximize=spec.maximize, epochs=runtime.most_epochs())
    place = artifact_store or Folder(folder)
    budget = spec.search.gpu_seconds
    reserve = reserve_of(engine, spec, budget)

    def fits(seconds: float) -> bool:
        in_budget = reserve is None or budget is None or reserve.fits(seconds, budget - history.seconds)
        return in_budget and stop_signal.fits(seconds)

    context = TrialContext(
        runtime,
        engine,
        sampling,
        history,
        curves,
        folder,
        options.observer,
        stop_signal,
        place,
        key,
        pause=stop_signal.gives_way,
        reserve=reserve,
        fits=fits,
        left_s=lambda: stop_signal.left_s,
    )
    try:
        reconcile(context)
        sweep(context)
        yield context
    finally:
        sampling.close()


def reconcile(context: TrialContext) -> None:
    """Report to Optuna what it missed: trials that ended as their worker died, and trials that no row of ours names."""
    study = context.runtime.spec.name
    open_there = context.sampling.unfinished()
    if not open_there:
        return
    known = optuna_trials(context.engine, study)
    for number in open_there:
        ended = known.get(number)
        if ended is not None and ended.state.is_finished:
            state = ended.state if ended.value is not None else TrialState.FAILED
            facts = {"objectives": ended.objectives, "constraints": ended.constraints}
            context.sampling.tell(number, state, ended.value, None, **facts)
    is_over = not reading.progress(context.engine, study).unfinished
    context.sampling.close_orphans(known, 0.0 if is_over else _ORPHAN_S)


def work(
    context: TrialContext,
    stop_signal: StopSignal,
    *,
    worker: str | None = None,
    idle_exit_s: float = 0.0,
    run: Callable[[TrialContext, Claim], TrialState] | None = None,
    aside: Callable[[], bool] = lambda: False,
) -> None:
    """Run trials of the study until its target is reached, or until ``stop_signal``.

    A trial that fails is recorded with its reason and the next one is claimed. Trials that other workers
    hold are waited for, and taken over when their lease runs out.

    Args:
        worker: its name; host and process by default.
        idle_exit_s: seconds for which it waits for new trials once the study has all, or has been stopped.
        run: runs one trial; by default together with others whose heads can be trained at once.
        aside: does other work once no trial is left; returns whether there was any.

    Raises:
        RunError: so many trials have failed in a row that the cause lies elsewhere; the message names it.
    """
    name = worker or worker_name()
    study, faults = context.runtime.spec.name, context.runtime.spec.faults
    workers.enter(
        context.engine,
        study,
        name,
        host=socket.gethostname(),
        process=os.getpid(),
        device=str(context.runtime.precision.device),
    )
    heartbeat = Heartbeat(context.engine, study, name, faults, stop_signal, context.artifact_store)
    why = "an error"
    try:
        with heartbeat.keeping():
            why = _Shift(context, stop_signal, heartbeat, idle_exit_s, run, aside, Settlement(context)).go()
    except (RunError, UserError) as error:
        why = str(error)
        raise
    except KeyboardInterrupt:
        why = "interrupted"
        raise
    finally:
        _sign_off(context, study, name, why)


def _sign_off(context: TrialContext, study: str, name: str, why: str) -> None:
    try:
        workers.leave(context.engine, study, name, why)
    except RunError as error:
        logger.warning("exiting without recording it in the store: %s", error)


def is_budget_spent(context: TrialContext) -> bool:
    """Return whether the trials in the store, of all workers, have used the study's ``budget``."""
    budget = context.runtime.spec.search.gpu_seconds
    if budget is None:
        return False
    context.history.refresh()
    left = budget - context.history.seconds
    return left <= 0 or (context.reserve is not None and context.reserve.is_reached(left))


def worker_name() -> str:
    """Return ``host:process``, by which people find a worker."""
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass(slots=True)
class _Shift:
    """A worker's run from its first claim to its last."""

    context: TrialContext
    stop_signal: StopSignal
    heartbeat: Heartbeat
    idle_exit_s: float
    run: Callable[[TrialContext, Claim], TrialState] | None
    aside: Callable[[], bool]
    settlement: Settlement
    _failures: list[Failure] = field(default_factory=list)
    _swept: Progress | None = None
    _disk_since: float | None = None
    """When the disk was first full since a trial last ended; None while it is not."""

    def go(self) -> str:
        """Work, and return why that ended."""
        study = self.heartbeat.study
        idle_since, pause = time.monotonic(), POLL_S
        try:
            while not self._is_to_leave():
                self._end_if_settled()
                claim = self._claim() if leases.is_work_left(self.context.engine, study) else None
                if claim is not None:
                    self._work_on(claim)
                    idle_since, pause = time.monotonic(), POLL_S
                    continue
                progress = reading.progress(self.context.engine, study)
                if progress != self._swept:  # something has ended since, perhaps with its worker
                    sweep(self.context)
                    self._swept = progress
                if not progress.unfinished or progress.stopping:
                    reconcile(self.context)
                    if not progress.stopping and self.aside():
                        idle_since = time.monotonic()
                        continue
                    if time.monotonic() - idle_since >= self.idle_exit_s:
                        return "the study has been stopped" if progress.stopping else "nothing left to do"
                else:
                    idle_since = time.monotonic()  # waiting for others is not idling: their trials may become free
                self._wait(pause)
                pause = min(pause * 1.5, 5 * POLL_S)
        except NotFoundError:
            return "the study has been deleted"
        except DatabaseError as error:
            if not self.stop_signal.reason:
                raise
            logger.warning("exiting although the database cannot be reached; the lease will run out: %s", error)
        return self.stop_signal.reason or self.stop_signal.pause_reason or "the time or the budget is up"

    def _end_if_settled(self) -> None:
        settlement = self.settlement
        if self.run is None and not settlement.reason and settlement.look():
            logger.warning("the search ends: %s", settlement.reason)
            writing.close_study(self.context.engine, self.heartbeat.study, is_settled=True)

    def _claim(self) -> Claim | None:
        faults, heartbeat = self.heartbeat.faults, self.heartbeat
        return leases.claim(self.context.engine, heartbeat.study, heartbeat.worker, faults.lease, faults.max_retries)

    def _parallel_heads(self) -> ParallelHeads:
        return ParallelHeads(
            lambda: None if is_budget_spent(self.context) or self.stop_signal.pausing() else self._claim(),
            hold=self.heartbeat.holding,
            fail=lambda other, error: self._record(other, error, 0.0),
            release=lambda other: self._ended(other, TrialState.WAITING),
        )

    def _is_to_leave(self) -> bool:
        if self.idle_exit_s and self.stop_signal.pause_reason and not self.stop_signal.reason:
            self.stop_signal.pause_reason = ""  # a stopped study may be run again while this worker still waits
        return (
            self.stop_signal()
            or self.stop_signal.pausing()
            or self.stop_signal.is_time_up
            or is_budget_spent(self.context)
        )

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds * random.uniform(0.75, 1.25)
        while (left := end - time.monotonic()) > 0 and not self.stop_signal():
            time.sleep(min(left, 0.2))

    def _work_on(self, claim: Claim) -> None:
        context, heartbeat = self.context, self.heartbeat
        held = replace(context, leave=lambda: context.leave() or heartbeat.is_lost(claim))
        failed: Exception | None = None
        begin = time.monotonic()
        try:
            with heartbeat.holding(claim):
                try:
                    state = (self.run or self._parallel_heads().run)(held, claim)
                    self._ended(claim, state)
                except (LeaseLostError, NotFoundError):
                    logger.warning("trial %d: another worker has taken it over; leaving it to that one", claim.number)
                except KeyboardInterrupt:
                    leases.release(context.engine, claim, "was interrupted")
                    raise
                except (StudyBackboneError, ConstraintError) as error:
                    leases.release(context.engine, claim, f"found no candidate: {error}")
                    raise
                except Exception as error:  # noqa: BLE001  # whatever ends a trial is recorded with it, and the study goes on
                    self._record(claim, error, time.monotonic() - begin)
                    failed = error
        except LeaseLostError:
            logger.warning("trial %d: another worker has taken it over; leaving it to that one", claim.number)
        if failed is not None:
            self._recover(failed)

    def _ended(self, claim: Claim, state: TrialState) -> None:
        self._failures.clear()
        self._disk_since = None
        if state is TrialState.WAITING and not self.heartbeat.is_lost(claim):
            leases.release(self.context.engine, claim)
            self.context.observer.trial_ended(claim.number, state, None, "handed back to the queue")

    def _record(self, claim: Claim, error: Exception, seconds: float) -> None:
        context = self.context
        failure = failure_of(error, context.engine)
        if failure.kind == DISK_FAULT and self._may_pass():
            logger.warning("trial %d waits for the disk: %s", claim.number, failure.message, extra=OBSERVED)
            leases.release(context.engine, claim, f"waited for the disk: {failure.message}")
            context.observer.trial_ended(claim.number, TrialState.WAITING, None, f"queued again: {failure.message}")
            return
        if not context.artifact_store.is_there:
            leases.release(context.engine, claim, f"has nowhere to keep its weights: {failure.message}")
            raise RunError(gone(context.artifact_store))
        self._failures.append(failure)
        logger.warning("trial %d failed (%s): %s", claim.number, failure.kind, failure.message, extra=OBSERVED)
        if failure.kind in MACHINES_FAULT:
            if not leases.put_off(context.engine, claim, failure, self.heartbeat.faults.max_retries):
                context.observer.trial_ended(claim.number, TrialState.WAITING, None, f"queued again: {failure.message}")
                return
            number = claim.optuna_number
        else:
            number = writing.fail_trial(context.engine, claim, failure, seconds)
        if number is not None:
            # A pruned trial without values counts as one of the worst for TPE, a failed one not at all.
            verdict = TrialState.PRUNED if failure.kind in CANDIDATES_FAULT else TrialState.FAILED
            context.sampling.tell(number, verdict, None, None)
        context.observer.trial_ended(claim.number, TrialState.FAILED, None, failure.message)

    def _may_pass(self) -> bool:
        """Return whether to keep waiting for a full disk, as for a lost database: no attempt is counted meanwhile."""
        now = time.monotonic()
        self._disk_since = now if self._disk_since is None else self._disk_since
        return now - self._disk_since < self.heartbeat.faults.database_timeout

    def _recover(self, error: Exception) -> None:
        """Clean up after a failed trial so that nothing of it reaches the next one; give up when that fails.

        Raises:
            RunError: the device is lost to this process, or too many trials have failed in a row.
        """
        is_lost = out_of_memory.is_device_lost(error)
        traceback.clear_frames(error.__traceback__)
        error.__traceback__ = None
        out_of_memory.free()
        if is_lost:
            raise RunError(f"the device can no longer be used by this process ({error}); start the worker again")
        if self._disk_since is not None:
            self._wait(_DISK_S)
        elif self._failures[-1].kind in MACHINES_FAULT:
            self._wait(min(POLL_S * len(self._failures), 30.0))  # a flaky device or database: it may pass
        count, limit = len(self._failures), self.heartbeat.faults.max_failures
        if 0 < limit <= count:
            (kind, message), times = Counter((one.kind, one.message) for one in self._failures).most_common(1)[0]
            raise RunError(
                f"{count} trials in a row have failed, {times} of them with ({kind}): {message}; "
                "this worker leaves, `ftsearch retry STUDY --failed` puts them back once that is fixed"
            )
