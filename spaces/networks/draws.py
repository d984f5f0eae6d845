"""Sources of values before a study has results: the decisions' priors, or the neighbourhood of good candidates."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from spaces.decisions._base import Scalar
from spaces.decisions._prior import Categorical, Normal, Prior

_NEAR_LOG, _NEAR = 1.5, 0.1
"""Spread of numbers around a good one: a factor on a log scale, else a share of the range."""


class FromPrior:
    """Draws every value from its prior, uniformly if a decision states none.

    Args:
        near: parameters of a good candidate, around whose numbers others are drawn.
    """

    def __init__(self, seed: int, near: Mapping[str, Scalar] | None = None) -> None:
        self._chance = random.Random(seed)
        self._near = near or {}

    def integer(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False, prior: Prior | None = None
    ) -> int:
        return int(self.choice(name, range(low, high + 1, step), prior=prior))

    def real(self, name: str, low: float, high: float, *, log: bool = False, prior: Prior | None = None) -> float:
        known = self._near.get(name)
        if isinstance(known, int | float):
            prior = Normal(float(known), _NEAR_LOG if log else _NEAR * (high - low) or 1.0)
        if isinstance(prior, Normal):
            return prior.draw(self._chance, low, high, log=log)
        share = self._chance.random()
        return float(low * (high / low) ** share) if log else low + share * (high - low)

    def choice(self, name: str, choices: Sequence[Any], *, prior: Prior | None = None) -> Any:
        weights = prior.weights(choices) if isinstance(prior, Categorical) else [1.0] * len(choices)
        return self._chance.choices(choices, weights)[0]


class Likeliest:
    """Returns the most likely value of each prior, or the first value if a decision states none."""

    def integer(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False, prior: Prior | None = None
    ) -> int:
        return int(self.choice(name, range(low, high + 1, step), prior=prior))

    def real(self, name: str, low: float, high: float, *, log: bool = False, prior: Prior | None = None) -> float:
        if isinstance(prior, Normal):
            return min(max(prior.center, low), high)
        return float((low * high) ** 0.5) if log else (low + high) / 2

    def choice(self, name: str, choices: Sequence[Any], *, prior: Prior | None = None) -> Any:
        weights = prior.weights(choices) if isinstance(prior, Categorical) else [1.0] * len(choices)
        return choices[weights.index(max(weights))]
