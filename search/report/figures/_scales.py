"""Maps a parameter's values, numbers or words, to heights between 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from search.report import parameters
from spaces.candidate import short


class Scale(NamedTuple):
    """The position of a value on an axis; ``ticks`` are positions with their labels."""

    name: str
    words: tuple[str, ...]
    is_log: bool
    low: float
    high: float

    def place(self, value: Any) -> float:
        """Return the height of ``value``."""
        if self.words:
            return self.words.index(parameters.value(value)) / (len(self.words) - 1)
        number = math.log10(value) if self.is_log else float(value)
        return (number - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Heights and labels: up to eight words, or the two ends of a range of numbers."""
        if self.words:
            shown = range(len(self.words)) if len(self.words) <= 8 else (0, len(self.words) - 1)
            return tuple((index / (len(self.words) - 1), self.words[index]) for index in shown)
        ends = [10**end if self.is_log else end for end in (self.low, self.high)]
        return ((0.0, short(ends[0])), (1.0, short(ends[1])))


def scale_of(name: str, values: Sequence[Any], *, log: bool = False) -> Scale | None:
    """Return the axis of ``values``, numbers on a ``log`` scale if asked; None if all are equal."""
    if len({parameters.value(value) for value in values}) < 2:
        return None
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        low, high = float(min(values)), float(max(values))
        log = log and low > 0
        return Scale(name, (), log, math.log10(low) if log else low, math.log10(high) if log else high)
    return Scale(name, tuple(sorted({parameters.value(value) for value in values})), False, 0.0, 0.0)
