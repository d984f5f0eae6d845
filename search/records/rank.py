"""The order of trials: by objectives, then by costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective of a study: a metric of its task, or a cost (``search.records.objectives``)."""

    name: str
    maximize: bool

    @property
    def tolerance(self) -> float:
        """The share of its value by which measurements of one candidate vary; 0 unless a clock measures it."""
        return CLOCK_TOLERANCE if self.name in CLOCKED else 0.0

    def loss(self, value: float | None) -> float:
        """Return ``value`` as a loss, less being better; infinity for None."""
        return math.inf if value is None else -value if self.maximize else value


CLOCKED = ("latency", "train_seconds")
"""Objectives measured by a clock."""
CLOCK_TOLERANCE = 0.1
"""Of 40 medians of 30 passes of the same networks on a shared CPU, 37 lay within 8 % of the middle one."""


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a candidate's network.

    Attributes:
        parameters: all of them, head included.
        trained: those that are trained.
        flops: multiply-adds times two of one forward pass of one input.
        unit_states: what was done with each unit of the pretrained chain, in order: ``frozen``, ``trained``,
            ``adapted``, ``skipped`` or ``dropped``, then its edits: ``trained: 5x5 kernel``. Records of earlier
            versions have ``edited`` in place of both.
    """

    parameters: int
    trained: int
    flops: int
    unit_states: tuple[str, ...] = ()

    @property
    def states(self) -> tuple[str, ...]:
        """The states of the units without their edits."""
        return tuple(text.partition(": ")[0] for text in self.unit_states)


def rank_key(
    objectives: Sequence[Objective], value: float | None, others: Mapping[str, float], size: Size | None, number: int
) -> tuple[float, ...]:
    """Return the sort key of a trial, the best first.

    The first objective; ties are broken by the other objectives in order, then parameters, FLOPs and number.

    Args:
        others: values of the objectives besides the first, by name.
    """
    first, *further = objectives
    costs = (math.inf, math.inf) if size is None else (float(size.parameters), float(size.flops))
    return (first.loss(value), *(one.loss(others.get(one.name)) for one in further), *costs, float(number))
