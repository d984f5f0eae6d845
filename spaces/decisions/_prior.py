"""Priors of decisions, used before a study has results; each decision states its own where it asks for a value."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Categorical:
    """Probabilities of single values; the others share the rest equally."""

    of: Mapping[Any, float]

    def weights(self, choices: Sequence[Any]) -> list[float]:
        """Return a weight for each of ``choices``; values that are not offered leave theirs to the rest."""
        others = sum(choice not in self.of for choice in choices)
        left = max(1.0 - sum(self.of.values()), 0.0) / others if others else 0.0
        shares = [self.of.get(choice, left) for choice in choices]
        return shares if sum(shares) > 0 else [1.0] * len(choices)


@dataclass(frozen=True, slots=True)
class Normal:
    """A normal distribution, truncated at the ends of the range.

    Attributes:
        center: the field's default.
        spread: standard deviation; on a log scale a factor, 2 for "half to twice as much".
    """

    center: float
    spread: float

    def draw(self, chance: random.Random, low: float, high: float, *, log: bool) -> float:
        """Return a number in ``low..high``; near the closer end if the centre lies far outside."""
        center = min(max(self.center, low), high)
        for _ in range(_TRIES):
            step = chance.gauss(0.0, 1.0)
            number = center * math.exp(step * math.log(self.spread)) if log else center + step * self.spread
            if low <= number <= high:
                return number
        return center


Prior = Categorical | Normal
_TRIES = 64


def mostly(value: Any, share: float) -> Categorical:
    """Return the prior that gives ``value`` the probability ``share``."""
    return Categorical({value: share})
