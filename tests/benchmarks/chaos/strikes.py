"""Faults that wait at named points, and what a worker does to itself that comes to one.

A fault is a file called after its point. Whoever removes it suffers it, so it strikes once, whichever worker comes.
"""

from __future__ import annotations

import errno
import os
import random
import re
import signal
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos.points import COMMIT, WRITES

KILL, SLEEP, TERM, FULL = "kill", "sleep", "term", "full disk"
CRASH, RESTART, LOST = "server crash", "server restart", "lost answer"
SERVER = (CRASH, RESTART)
FULL_S = 2.0
"""For how long a worker's disk is full."""
TRIAL_ENDED = "after commit in store.writing.finish_trial"
_PATIENCE_S = 8.0
"""How long a fault waits at its point before another one has its turn."""
_SELDOM = 2
"""In so few trials a calm run comes to a point of a study's begin or of its end. Faults wait there all the time."""
PHASES = {
    "claim": r"leases\._claim",
    "ask": r" ask ",
    "decode": r"data\.(cache|array_cache)",
    "epoch": r"training\.epoch|training of heads|record_epochs",
    "checkpoint": r"training\.fit\.fit|keep_best\.keep",
    "finish": r"finish_trial|fail_trial",
    "clean-up": r"trials\.trial\.finish|remove_surplus|forget_checkpoint|orphaned_checkpoints",
    "choice": r"repeats\.(add|begin|finish|withdraw)|trials\.confirmation",
    "final": r"finish_refit|model\.folder|report\.page",
}
"""A trial's and a study's life: every part of it must have met a fault. Patterns of the points' names."""


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that a worker has met."""

    process: int
    fault: str
    point: str


class Census:
    """A calm worker's side: it counts in how many trials it comes to a point."""

    def __init__(self) -> None:
        self._ended = 0
        self._passed: defaultdict[str, set[int]] = defaultdict(set)

    @property
    def passed(self) -> dict[str, int]:
        return {name: len(trials) for name, trials in self._passed.items()}

    def __call__(self, name: str, _: Any = None) -> None:
        """Come to the point called ``name``."""
        self._passed[name].add(self._ended)
        self._ended += name == TRIAL_ENDED


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
    the other faults come to points that the seed draws. Points are known from a calm run before, with the number of
    trials in which it came there; those to which only faults lead are planned for as workers report them.

    Attributes:
        at_once: faults that wait at points which workers come to again and again: more, and nobody gets on.
    """

    folder: Path
    rng: random.Random
    has_server: bool
    known: dict[str, int] = field(default_factory=dict)
    at_once: int = 12
    points: list[str] = field(default_factory=list)
    struck: list[Strike] = field(default_factory=list)
    queue: list[tuple[str, str]] = field(default_factory=list)
    waiting: dict[str, tuple[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("waiting", "done"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for name in self.known:
            self._learn(name)

    def not_struck(self) -> dict[str, list[str]]:
        """Return the points without a kill: those that were never come to again, and those whose turn never came."""
        killed = {strike.point for strike in self.struck if strike.fault == KILL}
        passed = set(self._lines("passed"))
        left = [name for name in self.points if name not in killed]
        return {
            "not come to": [name for name in left if name not in passed],
            "come to, not struck": [name for name in left if name in passed],
        }

    def by_phase(self) -> dict[str, int]:
        """Return how many faults each part of a study's life has met."""
        return {
            phase: sum(bool(re.search(pattern, strike.point)) for strike in self.struck)
            for phase, pattern in PHASES.items()
        }

    def look(self) -> list[Strike]:
        """Plan for new points; return what has struck since the last look."""
        for name in self._lines("passed"):
            self._learn(name)
        new = [Strike(int(one), fault, name) for one, fault, name in (
            line.split("\t") for line in self._lines("strikes")[len(self.struck) :]
        )]  # fmt: skip
        self.struck += new
        for strike in new:
            self.waiting.pop(strike.point, None)
        return new

    def _learn(self, name: str) -> None:
        if name not in self.points:
            self.points.append(name)
            for fault in self._faults(name):
                first = 0 if fault == KILL else len(self.queue) // 2
                self.queue.insert(self.rng.randint(first, len(self.queue)), (name, fault))

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

    def place(self, *, at_end: bool = False) -> None:
        """Let the next faults wait at their points; those that nobody has come to go back into the queue.

        Args:
            at_end: all trials have ended: whatever is left may strike.
        """
        now = time.monotonic()
        for name, (fault, since) in list(self.waiting.items()):
            if now - since > _PATIENCE_S and not self._is_seldom(name) and self._take_back(name):
                self.queue.append((name, fault))
        for one in list(self.queue):
            often = sum(not self._is_seldom(name) for name in self.waiting)
            if one[0] not in self.waiting and (at_end or self._is_seldom(one[0]) or often < self.at_once):
                self.queue.remove(one)
                self._put(*one)

    def _is_seldom(self, name: str) -> bool:
        return 0 < self.known.get(name, 0) <= _SELDOM

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
