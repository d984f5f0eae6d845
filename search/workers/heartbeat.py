"""Keeps a worker's leases: one thread renews them all, and notices lost leases and a stopped study."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from search.artifacts.stores import ArtifactStore, gone
from search.errors import RunError
from search.spec.faults import FaultOptions
from search.store import leases
from search.store.connection import Engine
from search.store.leases import Claim
from search.workers.shutdown import StopSignal

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Heartbeat:
    """Reports every quarter of a lease that its worker is alive, renews its leases, and notices when the study stops.

    Attributes:
        artifact_store: where checkpoints go; if it vanishes, that is logged at once, not when the next one is written.
    """

    engine: Engine
    study: str
    worker: str
    faults: FaultOptions
    stop_signal: StopSignal
    artifact_store: ArtifactStore | None = None
    _is_gone: bool = False
    _held: dict[int, Claim] = field(default_factory=dict)
    _lost: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Renew the leases in a background thread for as long as the context lasts."""
        done = threading.Event()
        thread = threading.Thread(target=self._go_on, args=(done,), name=f"leases-{self.worker}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    @contextmanager
    def holding(self, claim: Claim) -> Iterator[None]:
        """Renew the lease of ``claim`` within the context."""
        with self._lock:
            self._held[claim.trial_id] = claim
        try:
            yield
        finally:
            with self._lock:
                self._held.pop(claim.trial_id, None)

    def is_lost(self, claim: Claim) -> bool:
        """Return whether another worker owns the trial now."""
        return claim.token in self._lost

    def _go_on(self, done: threading.Event) -> None:
        while not done.wait(self.faults.lease / 4):
            try:
                self.beat()
            except RunError as error:
                # The database may come back before the leases run out; the next round tries again.
                logger.warning("cannot renew leases: %s", error)
            self._look()

    def _look(self) -> None:
        """Log once that the checkpoints' place has vanished."""
        if self.artifact_store is not None:
            was_gone, self._is_gone = self._is_gone, not self.artifact_store.is_there
            if self._is_gone and not was_gone:
                logger.error("%s", gone(self.artifact_store))

    def beat(self) -> None:
        """Renew the leases now, and put back what other workers have abandoned."""
        with self._lock:
            held = tuple(self._held.values())
        pulse = leases.beat(self.engine, self.study, self.worker, held, self.faults.lease)
        self._lost.update(claim.token for claim in held if claim.trial_id in pulse.lost)
        if pulse.stopping and not self.stop_signal.pause_reason:
            self.stop_signal.pause_reason = "the study has been stopped"
        leases.reap(self.engine, self.study, self.faults.max_retries)
