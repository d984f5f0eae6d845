"""When a worker stops: at a signal, at a deadline, when its study is stopped, or when its parent has died."""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from search.trials.time_reserve import Reserve

logger = logging.getLogger(__name__)
PARENT_VARIABLE = "FTSEARCH_PARENT"
"""Process id of the parent that started this worker; the worker exits when it is gone."""


class StopSignal:
    """Whether this worker has to stop: a signal came, its deadline has passed, or its parent has died."""

    def __init__(self, *, deadline: float | None = None, parent: int | None = None) -> None:
        self.reason = ""
        """Why it exits now, in the middle of a trial."""
        self.pause_reason = ""
        """Why it exits at the end of the running epoch."""
        self.deadline = deadline
        """By ``time.monotonic``; no trial starts after it."""
        self.reserve: Reserve | None = None
        """The part of the time until then that is reserved for the end of the search."""
        self._parent = parent

    def __call__(self) -> bool:
        """Return whether to exit now, in the middle of a trial."""
        if self._parent is not None and os.getppid() != self._parent:
            self.reason = self.reason or "the process that started this worker has died"
        return bool(self.reason)

    def pausing(self) -> bool:
        """Return whether to exit at the end of the running epoch."""
        return bool(self.pause_reason)

    def gives_way(self) -> bool:
        """Return whether the running trial ends here, asked once per epoch: to exit, or for the final model."""
        return self.pausing() or (self.reserve is not None and self.reserve.is_pressing(self.left_s))

    def fits(self, seconds: float) -> bool:
        """Return whether a trial of that many ``seconds`` ends in time, the end of the search included."""
        return self.reserve is None or self.reserve.fits(seconds, self.left_s)

    @property
    def left_s(self) -> float:
        """Seconds until the deadline; infinity without one."""
        return math.inf if self.deadline is None else self.deadline - time.monotonic()

    @property
    def is_time_up(self) -> bool:
        """Whether no further trial may start."""
        left = self.left_s
        return left <= 0 or (self.reserve is not None and self.reserve.is_reached(left))


@contextmanager
def obeying_signals(stop_signal: StopSignal) -> Iterator[None]:
    """Let SIGTERM and the first Ctrl-C shut the worker down gracefully; the second Ctrl-C kills it."""

    def on_signal(number: int, _: FrameType | None) -> None:
        if stop_signal.reason:
            raise KeyboardInterrupt
        stop_signal.reason = f"stopped by {signal.Signals(number).name}"
        logger.warning("%s: finishing the step; once more to leave at once", stop_signal.reason)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
