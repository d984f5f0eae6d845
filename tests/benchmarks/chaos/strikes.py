"""Faults that wait at named points, and what a worker does to itself that comes to one.

A fault is a file called after its point. Whoever removes it suffers it, so it strikes once, whichever worker comes.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos.points import COMMIT, WRITES

KILL, SLEEP, TERM, FULL = "kill", "sleep", "term", "full disk"
CRASH, RESTART, LOST = "server crash", "server restart", "lost answer"
SERVER = (CRASH, RESTART)
FULL_S = 2.0
"""For how long a worker's disk is full."""
_PATIENCE_S = 15.0
"""How long a fault waits at its point before another one has its turn."""
_FIRST = (
    *("before commit in store.migrate.upgrade", "after commit in store.migrate.upgrade"),
    *("before fsync in data.assembly.note", "before replace in data.assembly.note"),
    *("before commit in store.writing._create", "after commit in store.writing._create"),
    "before fsync in lifecycle.artifact_places.study_artifacts",
    "after replace in lifecycle.artifact_places.study_artifacts",
    "before commit in store.writing.place_artifacts",
    "after commit in store.writing.place_artifacts",
)
"""Points that a study comes to once, at its begin: kills wait there from the first."""


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that a worker has met."""

    process: int
    fault: str
    point: str


class Victim:
    """A worker's side: it meets what waits in ``folder`` and writes it down first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._plain = os.unlink
        self._seen: set[str] = set()
        self._full_until = 0.0
        self._busy = threading.local()

    def __call__(self, name: str, link: Any = None) -> None:
        """Come to the point called ``name``."""
        if getattr(self._busy, "here", False):
            return
        self._busy.here = True
        try:
            self._reach(name, link)
        finally:
            self._busy.here = False

    def _reach(self, name: str, link: Any) -> None:
        if name not in self._seen:
            self._seen.add(name)
            self._note("passed", name)
        waiting = self._folder / "waiting" / name
        try:
            fault = waiting.read_text()
            self._plain(waiting)
        except FileNotFoundError:
            fault = ""
        if fault:
            self._note("strikes", f"{os.getpid()}\t{fault}\t{name}")
            self._suffer(fault, name, link)
        if time.monotonic() < self._full_until and name.startswith("before") and name.split()[1] in WRITES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _suffer(self, fault: str, name: str, link: Any) -> None:
        if fault == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault == SLEEP:
            os.kill(os.getpid(), signal.SIGSTOP)
        elif fault == TERM:
            os.kill(os.getpid(), signal.SIGTERM)
        elif fault == FULL:
            self._full_until = time.monotonic() + FULL_S
        elif fault == LOST:
            import psycopg

            link.dbapi_connection.close()  # of SQLAlchemy's proxy for it
            raise psycopg.OperationalError("server closed the connection unexpectedly (planted: its answer is lost)")
        else:
            self._await(name)

    def _await(self, name: str) -> None:
        """Wait until the server has been stopped: what follows finds it gone."""
        done = self._folder / "done" / name
        while not done.exists():
            time.sleep(0.02)

    def _note(self, file: str, line: str) -> None:
        handle = os.open(self._folder / file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(handle, f"{line}\n".encode())
        os.close(handle)


@dataclass(slots=True)
class Plan:
    """The run's side: which fault waits where, and which have struck.

    Every point is to meet a kill, every write of a file a full disk, the answer to every commit is to be lost once;
    the other faults come to points that the seed draws. Points are planned for as workers report them.
    """

    folder: Path
    rng: random.Random
    has_server: bool
    at_once: int = 6
    points: list[str] = field(default_factory=list)
    struck: list[Strike] = field(default_factory=list)
    queue: list[tuple[str, str]] = field(default_factory=list)
    waiting: dict[str, tuple[str, float]] = field(default_factory=dict)
    _next: float = 0.0

    def __post_init__(self) -> None:
        for name in ("waiting", "done"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for name in _FIRST:
            self._put(name, KILL)

    @property
    def never_passed(self) -> list[str]:
        """Points at which faults were to wait from the first, and that no worker knows: they have another name now."""
        return [name for name in _FIRST if name not in self.points]

    def look(self) -> list[Strike]:
        """Plan for new points; return what has struck since the last look."""
        for name in self._lines("passed"):
            if name not in self.points:
                self.points.append(name)
                if name in _FIRST:
                    continue
                for fault in self._faults(name):
                    self.queue.insert(self.rng.randint(0, len(self.queue)), (name, fault))
        new = [Strike(int(one), fault, name) for one, fault, name in (
            line.split("\t") for line in self._lines("strikes")[len(self.struck) :]
        )]  # fmt: skip
        self.struck += new
        for strike in new:
            self.waiting.pop(strike.point, None)
        return new

    def _faults(self, name: str) -> list[str]:
        kind, sometimes = name.split()[1], self.rng.random()
        faults = [KILL]
        if name.startswith("before") and kind in WRITES:
            faults.append(FULL)
        if self.has_server and kind == COMMIT:
            faults += [LOST] if name.startswith("after") else []
            faults += [CRASH] if sometimes < 0.15 else [RESTART] if sometimes < 0.25 else []
        if sometimes > 0.85:
            faults.append(SLEEP)
        elif sometimes > 0.7:
            faults.append(TERM)
        return faults

    def place(self) -> None:
        """Let the next faults wait at their points; those that nobody has come to go back into the queue."""
        now = time.monotonic()
        for name, (fault, since) in list(self.waiting.items()):
            if now - since > _PATIENCE_S and name not in _FIRST and self._take_back(name):
                self.queue.append((name, fault))
        if now < self._next or len(self.waiting.keys() - set(_FIRST)) >= self.at_once:
            return
        free = next((one for one in self.queue if one[0] not in self.waiting), None)
        if free is not None:
            self.queue.remove(free)
            self._put(*free)
            self._next = now + self.rng.uniform(0.1, 0.8)

    def _put(self, name: str, fault: str) -> None:
        written = self.folder / "written"
        written.write_text(fault)
        written.replace(self.folder / "waiting" / name)
        self.waiting[name] = (fault, time.monotonic())

    def withdraw(self) -> None:
        """Let nothing strike any more."""
        self.queue.clear()
        for name in list(self.waiting):
            self._take_back(name)

    def _take_back(self, name: str) -> bool:
        try:
            (self.folder / "waiting" / name).unlink()
        except FileNotFoundError:  # it has just struck
            return False
        del self.waiting[name]
        return True

    def counts(self) -> Counter[str]:
        return Counter(strike.fault for strike in self.struck)

    def _lines(self, file: str) -> list[str]:
        try:
            text = (self.folder / file).read_text()
        except FileNotFoundError:
            return []
        return text[: text.rfind("\n") + 1].splitlines()
