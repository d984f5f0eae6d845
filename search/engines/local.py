"""Workers as processes of this machine, each with its share of the CPU's threads."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

from search.engines._base import Engine
from search.errors import RunError
from search.records import TrialState
from search.store import connection, reading
from search.trial import Observer
from search.worker import PARENT_VARIABLE, Leaving

logger = logging.getLogger(__name__)
_POLL_S = 0.5


class Local(Engine):
    """Child processes that run ``ftsearch worker``; they leave when this process dies.

    The storage URL goes through the environment: a command line can be read by every user of the machine.
    """

    name = "local"

    def __init__(self, study: str, storage: str, folder: Path, device: str) -> None:
        self._arguments = ["worker", study, "--device", device, "--folder", str(folder)]
        self._storage = storage
        self._folder = folder
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self, count: int) -> None:
        threads = max((os.cpu_count() or 1) // count, 1)
        for place in range(count):
            environment = os.environ | {
                "FTSEARCH_STORAGE": self._storage,
                PARENT_VARIABLE: str(os.getpid()),
                "OMP_NUM_THREADS": str(threads),
                "MKL_NUM_THREADS": str(threads),
            }
            with (self._folder / f"worker-{place}.log").open("ab") as log:
                self._children.append(
                    subprocess.Popen(  # noqa: S603  # our own interpreter and arguments
                        [sys.executable, "-P", "-m", "search", *self._arguments],
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,  # a Ctrl-C reaches this process alone, which passes it on once
                    )
                )

    def alive(self) -> int:
        return sum(child.poll() is None for child in self._children)

    def stop(self) -> None:
        for child in self._children:
            if child.poll() is None:
                child.terminate()
        for child in self._children:
            child.wait()

    def kill(self) -> None:
        """End all workers at once."""
        for child in self._children:
            if child.poll() is None:
                child.kill()
                child.wait()

    @property
    def failed(self) -> int:
        """How many workers ended with an error."""
        return sum(child.returncode not in (None, 0) for child in self._children)


def run_processes(
    study: str,
    storage: str,
    folder: Path,
    workers: int,
    device: str,
    engine: connection.Engine,
    observer: Observer,
    leaving: Leaving,
) -> None:
    """Run ``workers`` processes until the study has all its trials, or until ``leaving``.

    ``observer`` is told what the store says.

    Raises:
        RunError: every worker ended with an error; names their logs.
    """
    local = Local(study, storage, folder, device)
    told: dict[int, TrialState] = {}
    try:
        local.start(workers)
        while local.alive():
            _tell(engine, study, observer, told)
            if leaving() or leaving.is_time_up:
                local.stop()
            time.sleep(_POLL_S)
        _tell(engine, study, observer, told)
    finally:
        local.kill()
    if local.failed == workers:
        last = (folder / "worker-0.log").read_text(errors="replace").strip().splitlines()[-1:]
        raise RunError(f"all {workers} workers failed; see {folder}/worker-*.log ({''.join(last)})")
    if local.failed:
        logger.warning("%d of %d workers failed; see %s/worker-*.log", local.failed, workers, folder)


def _tell(engine: connection.Engine, study: str, observer: Observer, told: dict[int, TrialState]) -> None:
    for trial in reading.trial_states(engine, study):
        if told.get(trial.number) is trial.state or not (trial.words or trial.state.is_finished):
            continue  # nothing new, or claimed a moment ago and not yet sampled
        told[trial.number] = trial.state
        if trial.state is TrialState.RUNNING:
            observer.trial_started(trial.number, trial.words, 0)
        elif trial.state.is_finished:
            observer.trial_ended(trial.number, trial.state, trial.value, trial.ended)


engine = Local
