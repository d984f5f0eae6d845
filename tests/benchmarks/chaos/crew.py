"""The workers of a fault run: real ones, instrumented, from a process that has all imported already."""

from __future__ import annotations

import ctypes
import json
import logging
import multiprocessing
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PRELOADED = ("chaos.warm", "chaos.points", "chaos.strikes", "chaos.crew")
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
TOO_EARLY, REFUSED, CUT_OFF = 7, 8, 9
"""Exit codes of a worker that was started while there was no server, or no study; of one that says in a line why it
cannot begin, such as that a new study's place cannot be written; and of one that says that the database is away."""
LEAVE_S = 600.0
"""For how long workers may go on when no fault strikes any more."""
FORGOTTEN_S = 2
"""After so long the server ends a transaction whose worker says nothing more."""


@dataclass(frozen=True, slots=True)
class Post:
    """What a worker is started with.

    Attributes:
        runs: it is ``ftsearch run``, which makes final model, export and report too; else ``ftsearch worker``.
        faults: where they wait; None: nothing strikes.
        census: where to write in how many trials a worker that nothing strikes comes to which point.
    """

    runs: bool
    url: str
    study: Path
    place: Path
    cache: Path
    log: Path
    faults: Path | None = None
    census: Path | None = None


def name_of(process: int) -> str:
    """Return what a worker calls itself in the store."""
    return f"{socket.gethostname()}:{process}"


def work(post: Post) -> None:
    """Be a worker until the study has all it shall have."""
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)  # it dies with the fault run, asleep or not
    handle = os.open(post.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.environ["FTSEARCH_CACHE"] = str(post.cache)
    logging.basicConfig(format=f"%(asctime)s {os.getpid()} %(levelname)s %(message)s", level=logging.WARNING)

    import torch
    from chaos import points, strikes

    from search.api import join_study, run_study
    from search.errors import DatabaseError, NotFoundError, StoreUrlError, UserError
    from search.store import connection
    from search.training import fit as fitting

    torch.set_num_threads(1)
    fitting.CHECKPOINT_EVERY_S = 0.0
    connection.FORGOTTEN_S = FORGOTTEN_S
    census = strikes.Census()
    if post.faults or post.census:
        points.install(strikes.Victim(post.faults) if post.faults else census)
    try:
        if post.runs:
            run_study(post.study, storage=post.url, device="cpu", folder=post.place.parent, workers=1)
        else:
            join_study(post.study.stem, storage=post.url, device="cpu", folder=post.place, idle_exit_s=12.0)
        if post.census:
            post.census.write_text(json.dumps(census.passed))
    except (StoreUrlError, NotFoundError) as error:  # started too early: whoever starts it tries again
        logging.warning("%s", error)
        sys.exit(TOO_EARLY)
    except UserError as error:
        logging.warning("%s", error)
        sys.exit(REFUSED)
    except DatabaseError as error:
        logging.warning("%s", error)
        sys.exit(CUT_OFF)
    except Exception:
        logging.exception("ended")
        raise


@dataclass(slots=True)
class Crew:
    """All workers there are; one that has ended is replaced.

    Attributes:
        ended: exit codes of those that have ended, by process; ``since`` is when each was started.
        silent: those that have been killed, or sleep, and of which the store does not know that yet.
    """

    posts: list[Post]
    places: list[Any] = field(default_factory=list)
    ended: dict[int, int] = field(default_factory=dict)
    since: dict[int, float] = field(default_factory=dict)
    asleep: dict[int, float] = field(default_factory=dict)
    silent: set[int] = field(default_factory=set)
    _place_of: dict[int, int] = field(default_factory=dict)
    _context: Any = field(default_factory=lambda: multiprocessing.get_context("forkserver"))

    def __post_init__(self) -> None:
        self._context.set_forkserver_preload(list(PRELOADED))
        self.places = [None] * len(self.posts)

    def fill(self) -> None:
        """Start a worker in every place that has none."""
        for number, post in enumerate(self.posts):
            process = self.places[number]
            if process is None or process.exitcode is not None:
                self._bury(process)
                self.places[number] = self._context.Process(target=work, args=(post,))
                begin = time.monotonic()
                self.places[number].start()
                self.since[self.places[number].pid] = begin
                self._place_of[self.places[number].pid] = number

    def have_run_through(self, since: float) -> bool:
        """Return whether in every place a worker has begun after ``since`` and come to its end."""
        well = {self._place_of[one] for one, code in self.ended.items() if code == 0 and self.since[one] > since}
        return len(well) == len(self.places)

    def alone(self, post: Post, for_s: float) -> int | None:
        """Run one worker; return its exit code, None where it does not end in time."""
        process = self._context.Process(target=work, args=(post,))
        process.start()
        process.join(for_s)
        code = process.exitcode
        if code is None:
            process.kill()
            process.join()
        return code

    def sleep(self, process: int, for_s: float) -> None:
        """Take note that a worker has stopped, to be woken after ``for_s``."""
        self.asleep[process] = time.monotonic() + for_s
        self.silent.add(process)

    def wake(self, *, all_of_them: bool = False) -> None:
        """Wake those that have slept long enough; one that has died meanwhile needs none of it."""
        for process, until in list(self.asleep.items()):
            if all_of_them or time.monotonic() >= until:
                del self.asleep[process]
                if any(one is not None and one.pid == process and one.exitcode is None for one in self.places):
                    os.kill(process, signal.SIGCONT)

    def kill(self, number: int) -> bool:
        """Kill the worker in a place, wherever it may be; return whether there was one."""
        process = self.places[number % len(self.places)]
        if process is None or process.exitcode is not None:
            return False
        process.kill()
        return True

    def leave(self) -> list[int]:
        """Wait for all to end; return the processes of those that have to be killed."""
        self.wake(all_of_them=True)
        end, late = time.monotonic() + LEAVE_S, []
        for process in self.places:
            if process is None:
                continue
            process.join(max(end - time.monotonic(), 0.1))
            if process.exitcode is None:
                late.append(process.pid)
        self.end()
        return late

    def end(self) -> None:
        """Kill whoever is still there."""
        for number, process in enumerate(self.places):
            if process is not None:
                if process.exitcode is None:
                    process.kill()
                process.join()
                self._bury(process)
                self.places[number] = None

    def _bury(self, process: Any) -> None:
        if process is not None:
            process.join()
            self.ended[process.pid] = process.exitcode
            if process.exitcode:
                self.silent.add(process.pid)
