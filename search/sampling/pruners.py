"""Pruners: which trials to end early, judged by the curves of all; pure."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import ClassVar, Literal

from search.records import pareto
from search.records.study import Objective, PastTrial, TrialState, Verdict

Curve = Sequence[float]
_CONTINUE = (Verdict.CONTINUE, "")


class Curves:
    """The curves of all trials of a study, unfinished ones too, kept as the best value up to every epoch.

    A pruner that compares ten thousand trials at an epoch thus looks up ten thousand numbers instead of
    reading ten thousand curves.

    Attributes:
        maximize: whether larger values are better.
        epochs: most epochs that a trial of this study can have.
    """

    def __init__(self, *, maximize: bool, epochs: int, curves: Mapping[int, Curve] | None = None) -> None:
        self.maximize = maximize
        self.epochs = epochs
        self._bests: dict[int, list[float]] = {}
        for number, curve in (curves or {}).items():
            self.put(number, curve)

    def put(self, number: int, curve: Iterable[float]) -> None:
        """Store the curve of trial ``number``, one value per epoch, replacing any earlier one."""
        bests: list[float] = []
        best = -math.inf if self.maximize else math.inf
        for value in curve:
            if not math.isnan(value):  # NaN counts as the worst value
                best = max(best, value) if self.maximize else min(best, value)
            bests.append(best)
        self._bests[number] = bests

    def length(self, number: int) -> int:
        """Return the number of epochs that trial ``number`` has run."""
        return len(self._bests.get(number, ()))

    def best(self, number: int) -> float:
        """Return the best value of trial ``number`` so far."""
        return self._bests[number][-1]

    def reached(self, epoch: int, *, without: int, among: Callable[[int], bool] = lambda _: True) -> tuple[float, ...]:
        """Return the best value up to ``epoch`` of every trial that has reached it, except ``without``."""
        return tuple(
            bests[epoch - 1]
            for number, bests in self._bests.items()
            if len(bests) >= epoch and number != without and among(number)
        )


class Pruner(ABC):
    """A rule that ends weak trials."""

    @abstractmethod
    def verdict(self, number: int, curves: Curves) -> tuple[Verdict, str]:
        """Return whether trial ``number``, whose curve so far is in ``curves``, continues, and if not, why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Off(Pruner):
    """Every trial runs all its epochs."""

    name: Literal["none"] = "none"
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def verdict(self, number: int, curves: Curves) -> tuple[Verdict, str]:
        return _CONTINUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Median(Pruner):
    """Ends a trial whose best value so far is worse than the median of the others' at the same epoch.

    Attributes:
        warmup: epochs that every trial runs.
        startup: curves that must reach the epoch before anything is compared.
    """

    name: Literal["median"] = "median"
    warmup: int = 1
    startup: int = 4
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        _at_least("warmup", self.warmup, 0)
        _at_least("startup", self.startup, 1)

    def verdict(self, number: int, curves: Curves) -> tuple[Verdict, str]:
        epoch = curves.length(number)
        if epoch <= self.warmup:
            return _CONTINUE
        reached = curves.reached(epoch, without=number)
        if len(reached) < self.startup:
            return _CONTINUE
        middle, mine = median(reached), curves.best(number)
        if (mine < middle) if curves.maximize else (mine > middle):
            return Verdict.PRUNE, f"best {mine:.4g}, the median of {len(reached)} trials is {middle:.4g}"
        return _CONTINUE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rungs(Pruner):
    """Rungs of epochs; ``first`` is the epoch of the first one, of which one of ``factor`` trials passes."""

    first: int = 1
    factor: int = 3
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        _at_least("first", self.first, 1)
        _at_least("factor", self.factor, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Halving(_Rungs):
    """Asynchronous successive halving (https://arxiv.org/abs/1810.05934): only the best trials pass each rung.

    Attributes:
        first: epoch of the first rung; the following ones are ``factor`` times as far each.
        factor: one in ``factor`` trials passes a rung.
    """

    name: Literal["halving"] = "halving"

    def verdict(self, number: int, curves: Curves) -> tuple[Verdict, str]:
        return _halved(number, curves, self.first, self.factor, lambda _: True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperband(_Rungs):
    """Hyperband (https://jmlr.org/papers/v18/16-558.html): brackets of halving that begin to prune at different epochs.

    Halving trusts the first epochs; a candidate that starts slowly (a small learning rate, a deep head) never gets
    past its first rung. Here a trial's number decides its bracket. Bracket 0 has its first rung at epoch ``first``,
    each further one ``factor`` times later, the last runs its trials whole; trials are compared within their
    bracket. Early brackets have more trials, so that each bracket costs about the same.

    Attributes:
        first: epoch of the first rung of the first bracket.
        factor: one in ``factor`` trials passes a rung.
    """

    name: Literal["hyperband"] = "hyperband"

    def verdict(self, number: int, curves: Curves) -> tuple[Verdict, str]:
        cycle = self.cycle(curves.epochs)
        mine = cycle[number % len(cycle)]
        first = self.first * self.factor**mine
        verdict, reason = _halved(number, curves, first, self.factor, lambda other: cycle[other % len(cycle)] == mine)
        return verdict, f"{reason} in bracket {mine}" if reason else ""

    def cycle(self, epochs: int) -> tuple[int, ...]:
        """Return the brackets of trials 0, 1, 2, ..., after which they repeat.

        The largest bracket number is the number of rungs that fit into ``epochs``; of ``s + 1`` rungs a bracket
        gets ``ceil((s_max + 1) / (s + 1) * factor ** s)`` trials, as in the paper, spread evenly over the cycle.
        """
        last = 0
        while self.first * self.factor ** (last + 1) <= epochs:
            last += 1
        sizes = {
            bracket: math.ceil((last + 1) / (last - bracket + 1) * self.factor ** (last - bracket))
            for bracket in range(last + 1)
        }
        places = [((index + 0.5) / size, bracket) for bracket, size in sizes.items() for index in range(size)]
        return tuple(bracket for _, bracket in sorted(places))


def is_off_front(
    mine: Mapping[str, float], best: float, others: Iterable[PastTrial], objectives: Sequence[Objective]
) -> bool:
    """Return whether a complete trial beats the running one in all that is known: costs, and its value so far.

    Such a trial would have to improve to enter the front of ``objectives``. One that is cheaper in any of its known
    costs than all that reach its value is on that front already and stays there, however little it learns from now on.
    Objectives that are known only after training are left out.

    Args:
        mine: known costs of the trial that runs.
        best: its best value of the first objective so far.
    """
    costs = [one for one in objectives[1:] if one.name in mine]
    wanted = [objectives[0], *costs]
    maximize, tolerances = [one.maximize for one in wanted], [one.tolerance for one in wanted]
    point = (best, *(mine[one.name] for one in costs))
    for other in others:
        if other.state is not TrialState.COMPLETE or other.value is None or not other.is_feasible:
            continue
        if all(one.name in other.objectives for one in costs):
            theirs = (other.value, *(other.objectives[one.name] for one in costs))
            if pareto.dominates(theirs, point, maximize, tolerances):
                return True
    return False


OPTIONS: dict[str, type[Median] | type[Halving] | type[Hyperband] | type[Off]] = {
    "median": Median,
    "halving": Halving,
    "hyperband": Hyperband,
    "none": Off,
}
"""Pruners by their name in study files."""


def _halved(number: int, curves: Curves, first: int, factor: int, among: Callable[[int], bool]) -> tuple[Verdict, str]:
    """Return the verdict of successive halving: the best one in ``factor`` trials passes a rung."""
    epoch = curves.length(number)
    if not _is_rung(epoch, first, factor):
        return _CONTINUE
    reached = curves.reached(epoch, without=number, among=among)
    mine = curves.best(number)
    better = sum(value > mine if curves.maximize else value < mine for value in reached)
    places = max((len(reached) + 1) // factor, 1)
    if better >= places:
        return Verdict.PRUNE, f"rank {better + 1} of {len(reached) + 1} at the rung of epoch {epoch}, {places} pass"
    return _CONTINUE


def _is_rung(epoch: int, first: int, factor: int) -> bool:
    rung = first
    while rung < epoch:
        rung *= factor
    return rung == epoch


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"pruner.{name} must be at least {least}, got {value}")
