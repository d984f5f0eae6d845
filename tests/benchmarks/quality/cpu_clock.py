"""``ftsearch`` with a clock that counts CPU seconds: ``python -m quality.cpu_clock COMMAND ...``.

Its timeouts, and what it measures of its trials, are in seconds of the clock, which are CPU seconds where one thread
has a core for itself. Where others use the machine too, they would end a run before its budget is spent; nothing else
about the program is changed.
"""

from __future__ import annotations

import sys
import time

IDLE = 0.02
"""Seconds that an idle second counts: nobody waits for ever, and nobody who waits spends the budget."""
_wall, _begin = time.monotonic, time.monotonic()


def cpu_seconds() -> float:
    """Return the CPU seconds of this process since it began, and a little for the time that went by."""
    return time.process_time() + IDLE * (_wall() - _begin)


if __name__ == "__main__":
    time.monotonic = time.perf_counter = cpu_seconds
    from search.cli import main

    sys.exit(main())
