"""What trials are sorted by: objectives, then what a candidate costs."""

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
        """By which share of its value it varies between measurements of one candidate: clocks do, counts do not."""
        return CLOCK_TOLERANCE if self.name in CLOCKED else 0.0

    def loss(self, value: float | None) -> float:
        """Return ``value`` as something of which less is better; infinity for none."""
        return math.inf if value is None else -value if self.maximize else value


CLOCKED = ("latency", "train_seconds")
"""Objectives that a clock measures."""
CLOCK_TOLERANCE = 0.1
"""Of 40 medians of 30 passes of the same networks on a shared CPU, 37 lay within 8 % of the middle one."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a candidate costs to hold and to run.

    Attributes:
        parameters: all of them, head included.
        trained: those that learn.
        flops: multiply-adds times two of one forward pass of one input.
        unit_states: one word per unit of the pretrained chain, in order:
            ``frozen``, ``trained``, ``edited``, ``skipped`` or ``dropped``.
    """

    parameters: int
    trained: int
    flops: int
    unit_states: tuple[str, ...] = ()


def rank_key(
    objectives: Sequence[Objective], value: float | None, others: Mapping[str, float], size: Size | None, number: int
) -> tuple[float, ...]:
    """Return what trials are sorted by, the best first.

    The first objective; of equals the other objectives in their order, then parameters, FLOPs and number.

    Args:
        others: values of the objectives beside the first by name.
    """
    first, *further = objectives
    costs = (math.inf, math.inf) if size is None else (float(size.parameters), float(size.flops))
    return (first.loss(value), *(one.loss(others.get(one.name)) for one in further), *costs, float(number))
