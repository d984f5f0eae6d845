"""Which trials to end early, from the curves of all; pure."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import ClassVar, Literal

from search.records import Verdict

Curve = Sequence[float]
_CONTINUE = (Verdict.CONTINUE, "")


class Pruner(ABC):
    """A rule for ending weak trials."""

    @abstractmethod
    def verdict(self, own: Curve, others: Mapping[int, Curve], maximize: bool) -> tuple[Verdict, str]:
        """Return whether the trial with the curve ``own`` (one value an epoch so far) goes on, and why not.

        ``others`` holds the curves of all other trials by number, unfinished ones too.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Off(Pruner):
    """Every trial runs all its epochs."""

    name: Literal["none"] = "none"
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def verdict(self, own: Curve, others: Mapping[int, Curve], maximize: bool) -> tuple[Verdict, str]:
        return _CONTINUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Median(Pruner):
    """Ends a trial whose best value so far is worse than the median of the others' at the same epoch.

    Attributes:
        warmup: epochs that every trial gets.
        startup: curves that must reach the epoch before anything is compared.
    """

    name: Literal["median"] = "median"
    warmup: int = 1
    startup: int = 4
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        _at_least("warmup", self.warmup, 0)
        _at_least("startup", self.startup, 1)

    def verdict(self, own: Curve, others: Mapping[int, Curve], maximize: bool) -> tuple[Verdict, str]:
        epoch = len(own)
        reached = [best_of(curve[:epoch], maximize) for curve in others.values() if len(curve) >= epoch]
        if epoch <= self.warmup or len(reached) < self.startup:
            return _CONTINUE
        middle, mine = median(reached), best_of(own, maximize)
        if (mine < middle) if maximize else (mine > middle):
            return Verdict.PRUNE, f"best {mine:.4g}, the median of {len(reached)} trials is {middle:.4g}"
        return _CONTINUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Halving(Pruner):
    """Asynchronous successive halving (https://arxiv.org/abs/1810.05934): at each rung only the best share goes on.

    Attributes:
        first: epoch of the first rung; the following ones are ``factor`` times as far each.
        factor: one of so many trials passes a rung.
    """

    name: Literal["halving"] = "halving"
    first: int = 1
    factor: int = 3
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        _at_least("first", self.first, 1)
        _at_least("factor", self.factor, 2)

    def verdict(self, own: Curve, others: Mapping[int, Curve], maximize: bool) -> tuple[Verdict, str]:
        epoch = len(own)
        if not self._is_rung(epoch):
            return _CONTINUE
        reached = [best_of(curve[:epoch], maximize) for curve in others.values() if len(curve) >= epoch]
        mine = best_of(own, maximize)
        better = sum(value > mine if maximize else value < mine for value in reached)
        places = max((len(reached) + 1) // self.factor, 1)
        if better >= places:
            return Verdict.PRUNE, f"rank {better + 1} of {len(reached) + 1} at the rung of epoch {epoch}, {places} pass"
        return _CONTINUE

    def _is_rung(self, epoch: int) -> bool:
        rung = self.first
        while rung < epoch:
            rung *= self.factor
        return rung == epoch


OPTIONS: dict[str, type[Median] | type[Halving] | type[Off]] = {"median": Median, "halving": Halving, "none": Off}
"""Pruners by the name a study file gives."""


def best_of(curve: Curve, maximize: bool) -> float:
    """Return the best value of a curve; NaN counts as the worst."""
    worst = -math.inf if maximize else math.inf
    values = [worst if math.isnan(value) else value for value in curve]
    return (max if maximize else min)(values, default=worst)


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"pruner.{name} must be at least {least}, got {value}")
