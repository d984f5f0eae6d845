"""A worker's life: claim a trial, keep its lease, run it, hand it back when told to leave, ask for the next."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from search.companions import Companions
from search.errors import LeaseLostError, RunError, TrialError
from search.laboratory import Laboratory
from search.pruning import Curves
from search.records import Failure, TrialState
from search.store import leases, migrate, reading, writing
from search.store.connection import Engine, optuna_options, str_url, tune
from search.store.history import History
from search.store.leases import Claim
from search.study import Sampling, open_storage
from search.trial import Bench, Observer

logger = logging.getLogger(__name__)
PARENT_VARIABLE = "FTSEARCH_PARENT"
"""Process number of whoever started this worker; it leaves when that one is gone."""
LEASE_S = 60.0
"""How long a trial waits for a worker that has gone silent."""
POLL_S = 1.0
"""How often a worker without work looks whether another one's trial has come free."""


class Leaving:
    """Whether this worker has been told to go: by a signal, by a deadline, or because its parent has died."""

    def __init__(self, *, deadline: float | None = None, parent: int | None = None) -> None:
        self.reason = ""
        self._deadline = deadline
        self._parent = parent

    def __call__(self) -> bool:
        """Return whether to leave now, in the middle of a trial."""
        if self._parent is not None and os.getppid() != self._parent:
            self.reason = self.reason or "the process that started this worker is gone"
        return bool(self.reason)

    @property
    def is_time_up(self) -> bool:
        """Whether no further trial may start."""
        return self._deadline is not None and time.monotonic() >= self._deadline


@contextmanager
def obeying_signals(leaving: Leaving) -> Iterator[None]:
    """Let SIGTERM and the first Ctrl-C end the work in good order; the second Ctrl-C ends it at once."""

    def tell(number: int, _: FrameType | None) -> None:
        if leaving.reason:
            raise KeyboardInterrupt
        leaving.reason = f"stopped by {signal.Signals(number).name}"
        logger.warning("%s: finishing the step; once more to leave at once", leaving.reason)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(slots=True)
class _Keeper:
    """Renews a lease from a thread of its own while the trial trains."""

    engine: Engine
    claim: Claim
    lost: bool = False

    @contextmanager
    def keeping(self) -> Iterator[None]:
        done = threading.Event()
        thread = threading.Thread(target=self._renew, args=(done,), name=f"lease-{self.claim.number}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _renew(self, done: threading.Event) -> None:
        while not done.wait(LEASE_S / 4):
            try:
                leases.renew(self.engine, self.claim, LEASE_S)
            except LeaseLostError:
                self.lost = True
                return
            except RunError as error:
                # The database may come back before the lease runs out; the next round tries again.
                logger.warning("trial %d: cannot renew the lease: %s", self.claim.number, error)


@contextmanager
def open_bench(
    laboratory: Laboratory, engine: Engine, url: str, folder: Path, observer: Observer, leaving: Leaving
) -> Iterator[Bench]:
    """Return the bench of one worker: the laboratory, the store at ``url``, and Optuna's storage in it.

    Trials that Optuna still holds open although ours have ended (their worker died in between) are told to it.
    """
    spec = laboratory.spec
    with migrate.exclusive(engine):
        storage = open_storage(str_url(url), optuna_options(url), tune)
    history = History(engine, spec.name, spec.objective)
    sampling = Sampling(
        storage,
        spec.name,
        maximize=spec.maximize,
        options=spec.search.sampler,
        seed=spec.search.seed,
        history=lambda: history.trials,
    )
    curves = Curves(maximize=spec.maximize, epochs=spec.training.epochs)
    try:
        _reconcile(engine, sampling, spec.name)
        yield Bench(laboratory, engine, sampling, history, curves, folder, observer, leaving)
    finally:
        sampling.close()


def _reconcile(engine: Engine, sampling: Sampling, study: str) -> None:
    known = reading.told(engine, study)
    for number in sampling.unfinished():
        state, value = known.get(number, (None, None))
        if state is not None and state.is_finished:
            sampling.tell(number, state if value is not None else TrialState.FAILED, value, None)


def work(bench: Bench, leaving: Leaving, *, worker: str | None = None) -> None:
    """Run trials of the bench's study until it has all it shall have, or until ``leaving``.

    A trial that fails is recorded with its reason and the next one is claimed. Trials that other workers
    hold are waited for, and taken over when their lease runs out.
    """
    name = worker or worker_name()
    study = bench.laboratory.spec.name
    while not leaving() and not leaving.is_time_up and not is_budget_spent(bench):
        claim = leases.claim(bench.engine, study, name, LEASE_S)
        if claim is not None:
            _run(bench, claim, name)
        elif reading.progress(bench.engine, study).unfinished:
            time.sleep(POLL_S)
        else:
            return


def is_budget_spent(bench: Bench) -> bool:
    """Return whether the trials in the store, of all workers, have used the study's ``budget``."""
    budget = bench.laboratory.spec.search.budget
    if budget is None or budget.gpu_seconds is None:
        return False
    bench.history.refresh()
    return bench.history.seconds >= budget.gpu_seconds


def worker_name() -> str:
    """Return ``host:process``, by which people find a worker."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _run(bench: Bench, claim: Claim, name: str = "") -> None:
    keeper = _Keeper(bench.engine, claim)
    leave: Callable[[], bool] = bench.leave
    held = replace(bench, leave=lambda: leave() or keeper.lost)
    begin = time.monotonic()
    try:
        with keeper.keeping():
            state = _companions(bench, name or worker_name()).run(held, claim)
        if state is TrialState.WAITING:
            _release(bench, claim)
    except LeaseLostError:
        logger.warning("trial %d: another worker has taken it over; leaving it to that one", claim.number)
    except KeyboardInterrupt:
        leases.release(bench.engine, claim)
        raise
    except Exception as error:  # noqa: BLE001  # whatever ends a trial is recorded with it, and the study goes on
        _fail(bench, claim, error, time.monotonic() - begin)


def _companions(bench: Bench, name: str) -> Companions:
    def claim() -> Claim | None:
        return None if is_budget_spent(bench) else leases.claim(bench.engine, study, name, LEASE_S)

    study = bench.laboratory.spec.name
    return Companions(
        claim,
        hold=lambda other: _Keeper(bench.engine, other).keeping(),
        fail=lambda other, error: _fail(bench, other, error, 0.0),
        release=lambda other: _release(bench, other),
    )


def _release(bench: Bench, claim: Claim) -> None:
    leases.release(bench.engine, claim)
    bench.observer.trial_ended(claim.number, TrialState.WAITING, None, "handed back to the queue")


def _fail(bench: Bench, claim: Claim, error: Exception, seconds: float) -> None:
    kind = error.kind if isinstance(error, TrialError) else "error"
    message = str(error) or type(error).__name__
    failure = Failure(kind, message, "".join(traceback.format_exception(error)))
    logger.warning("trial %d failed (%s): %s", claim.number, kind, message)
    optuna_number = writing.fail_trial(bench.engine, claim, failure, seconds)
    if optuna_number is not None:
        bench.sampling.tell(optuna_number, TrialState.FAILED, None, None)
    bench.observer.trial_ended(claim.number, TrialState.FAILED, None, message)
