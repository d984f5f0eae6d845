"""CPU seconds that a contender may spend, by the kernel's own count."""

from __future__ import annotations

import resource


def spent() -> float:
    """Return CPU seconds of this process since it was started, imports included, and of children that have ended."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


class Stretch:
    """A stretch of CPU time that training fills: ``progress`` runs from 0 to 1 whatever a step costs.

    Args:
        end: CPU seconds since the process began at which the stretch is over.
    """

    def __init__(self, end: float) -> None:
        self.begin, self.end = spent(), end
        self._before, self._step = self.begin, 0.0

    def progress(self) -> float:
        """Return how much of the stretch has gone by; call it once before every step.

        1 as soon as another step like the one before would run beyond the end, so that none does.
        """
        now = spent()
        self._step, self._before = max(now - self._before, 0.9 * self._step), now
        left = self.end - self._step - self.begin
        return 1.0 if left <= 0 else min(1.0, (now - self.begin) / left)


class Steps:
    """The same for a fixed number of steps."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, -1

    def progress(self) -> float:
        self.done += 1
        return min(1.0, self.done / self.total)
