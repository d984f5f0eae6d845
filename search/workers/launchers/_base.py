"""The interface of launchers: start workers somewhere and watch over them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from search.workers.shutdown import PARENT_VARIABLE

STORAGE_VARIABLE = "FTSEARCH_STORAGE"
WRONG_INPUT = 2
"""Exit code of a worker whose input is wrong: a restart would end the same way."""
_ERROR = "Error: "
_LAST = 50
"""Lines of a worker's output that may belong to the error it ended with."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where workers run.

    Attributes:
        launcher: name of the launcher: ``local``, ``ray``, ``slurm``.
        per_gpu: workers that share one GPU.
        address: of the cluster (``--launcher ray``); ``auto`` finds a running one.
        proxy: ``grpc://HOST:PORT`` through which workers reach Optuna's tables of the store.
        options: further settings of the launcher, such as Slurm's partition.
    """

    launcher: str = "local"
    per_gpu: int = 1
    address: str | None = None
    proxy: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """The settings of all workers of a run.

    Attributes:
        storage: URL of the store, password included; never put on a command line.
        folder: where their logs go.
        device: ``auto``, or what ``ftsearch worker --device`` takes.
        data: path of the data; None: as in the study.
        program: what the Python interpreter runs: ``ftsearch``.
        final: the workers make the final model; false if the process that waits for them does.
    """

    study: str
    storage: str
    folder: Path
    device: str
    placement: Placement = field(default_factory=Placement)
    data: Path | None = None
    final: bool = False
    program: tuple[str, ...] = ("-P", "-m", "search")

    def arguments(self, device: str | None = None) -> list[str]:
        """Return the arguments of the Python interpreter that start a worker."""
        words = [
            *self.program,
            "worker",
            self.study,
            "--device",
            device or self.device,
            "--folder",
            str(self.folder.absolute()),
        ]
        if not self.final:
            words += ["--no-final"]
        if self.data is not None:
            words += ["--data", str(self.data)]
        if self.placement.proxy is not None:
            words += ["--optuna", self.placement.proxy]
        return words

    def environment(self, threads: int | None = None) -> dict[str, str]:
        """Return what a worker's environment adds to its parent's.

        The storage URL goes here: a command line can be read by every user of the machine.
        """
        variables = {STORAGE_VARIABLE: self.storage}
        if threads is not None:
            variables |= {name: str(max(threads, 1)) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        return variables


def as_child(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a worker that exits when this process dies."""
    return os.environ | environment | {PARENT_VARIABLE: str(os.getpid())}


class Launcher(ABC):
    """A place where workers run. Each file of this package defines one and ends with ``launcher = ...``, the class.

    Class attributes:
        name: the file's name and the value of ``--launcher``.
        is_detached: workers go on when the command that started them ends; it does not wait for them.
    """

    name: ClassVar[str]
    is_detached: ClassVar[bool] = False

    def __init__(self, launch_plan: LaunchPlan) -> None:
        self.launch_plan = launch_plan

    @abstractmethod
    def start(self, count: int) -> None:
        """Start ``count`` workers.

        Raises:
            UserError: the launcher is not installed, or its cluster cannot be reached.
        """

    @abstractmethod
    def alive(self) -> int:
        """Return how many workers still run; restart those that died of something transient."""

    @abstractmethod
    def stop(self) -> None:
        """Tell all workers to finish their step, hand their trials back and exit; wait until they have."""

    @abstractmethod
    def kill(self) -> None:
        """Kill all workers and release the launcher's resources."""

    @abstractmethod
    def complaint(self) -> str:
        """Return why every worker has failed, in a line; empty when at least one has not."""

    def fault(self) -> str:
        """Return what is wrong with the input, in the workers' words; empty unless all of them refused it."""
        return ""


def start_worker(
    arguments: Sequence[str], environment: Mapping[str, str], *, listening: bool = False
) -> subprocess.Popen[bytes]:
    """Start Python with ``arguments`` in a process of its own, so that no trial can harm this one.

    It hands its trial back when this process dies. ``wait_for`` reads its output when ``listening``.
    """
    stderr = subprocess.PIPE if listening else None
    return subprocess.Popen([sys.executable, *arguments], env=as_child(environment), stderr=stderr)  # noqa: S603  # our own interpreter and arguments


def wait_for(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Pass on the output of ``process`` until it ends; return its exit code and the error it ended with."""
    last: deque[bytes] = deque(maxlen=_LAST)
    with process:
        for line in process.stderr or ():
            os.write(2, line)
            last.append(line)
    return process.wait(), last_error(b"".join(last).decode(errors="replace"))


def last_error(text: str) -> str:
    """Return the error that a worker's output ``text`` ends with, without ``Error:``; empty without one."""
    _, mark, message = f"\n{text}".rpartition(f"\n{_ERROR}")
    return message.strip() if mark else ""


def run_worker(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run Python with ``arguments`` until it ends and return its exit code; SIGTERM is passed on to it."""
    process = start_worker(arguments, environment)
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
