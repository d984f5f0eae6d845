"""What a command is doing, said on a terminal while it takes longer than a second."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

AFTER_S = 1.0


@contextmanager
def working(screen: Console, what: str) -> Iterator[Callable[[str], None]]:
    """Yield a function that changes what is said below the output; nothing is said in a pipe, or within a second."""
    if not screen.is_terminal:
        yield lambda _: None
        return
    status = screen.status(what)
    timer = threading.Timer(AFTER_S, status.start)  # a thread: what takes long is often the loading of a library
    timer.daemon = True
    timer.start()
    try:
        yield status.update
    finally:
        timer.cancel()
        timer.join()
        status.stop()
