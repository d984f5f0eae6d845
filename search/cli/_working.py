"""What a command is doing, said while it takes longer than a second."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console

AFTER_S = 1.0


@contextmanager
def working(screen: Console, what: str) -> Iterator[Callable[[str], None]]:
    """Yield a function that changes what is said; nothing is said within a second.

    On a terminal it is a line below the output. In a pipe, whose reader wants the output alone, lines go to stderr,
    one for each kind of work.
    """
    said: _Said = screen.status(what) if screen.is_terminal else _Lines(what)
    timer = threading.Timer(AFTER_S, said.start)  # a thread: what takes long is often the loading of a library
    timer.daemon = True
    timer.start()
    try:
        yield said.update
    finally:
        timer.cancel()
        timer.join()
        said.stop()


class _Said(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def update(self, status: str) -> None: ...


class _Lines:
    """A line for each kind of work: progress that only counts further is said once."""

    def __init__(self, what: str) -> None:
        from search.cli._console import console

        self._what, self._kind = what, ""
        self._screen = console(stderr=True)
        self._begun = False

    def start(self) -> None:
        self._begun = True
        self.update(self._what)

    def stop(self) -> None:
        self._begun = False

    def update(self, status: str) -> None:
        self._what, kind = status, re.sub(r"\d+", "", status)
        if self._begun and kind != self._kind:
            self._kind = kind
            self._screen.print(status, soft_wrap=True)
