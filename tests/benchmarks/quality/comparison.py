"""Arithmetic of the comparison: intervals, ranks, pairs, and how much sooner."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from quality.runs import Run
from scipy import stats

CONFIDENCE = 0.95
NEAR = 0.005
"""Half a point: within it two contenders are equally good on a set."""


@dataclass(frozen=True)
class Mean:
    """A mean with the half-width of its 95 % interval; None where one value alone says nothing of it."""

    value: float
    half: float | None


def mean_of(values: Sequence[float]) -> Mean:
    """Return the mean of independent values and the half-width of Student's interval."""
    count = len(values)
    if count < 2:
        return Mean(float(np.mean(values)), None)
    spread = float(np.std(values, ddof=1)) / math.sqrt(count)
    return Mean(float(np.mean(values)), float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * spread)


def of_images(hits: int, images: int) -> Mean:
    """Return a single run's accuracy with the half-width of Wilson's interval: what so many test images can tell."""
    interval = stats.binomtest(hits, images).proportion_ci(CONFIDENCE, method="wilson")
    return Mean(hits / images, (interval.high - interval.low) / 2)


Grid = Mapping[str, Mapping[str, Sequence[float]]]
"""Accuracies by contender, set and seed, the seeds of all contenders in the same order."""


def grid(runs: Sequence[Run], budget_s: float) -> dict[str, dict[str, list[float]]]:
    """Return the accuracies of one budget, on the sets and seeds that every contender was run on."""
    found: dict[str, dict[tuple[str, int], float]] = {}
    for run in runs:
        if run.asked.budget_s == budget_s:
            found.setdefault(run.asked.contender, {})[run.asked.set, run.asked.seed] = run.accuracy
    common = sorted(set.intersection(*(set(values) for values in found.values()))) if found else []
    table: dict[str, dict[str, list[float]]] = {name: {} for name in found}
    for name, values in found.items():
        for data, seed in common:
            table[name].setdefault(data, []).append(values[data, seed])
    return table


def overall(by_set: Mapping[str, Sequence[float]]) -> Mean:
    """Return the mean over sets; its interval is over seeds, each of which has one mean over all sets."""
    return mean_of([float(np.mean(values)) for values in zip(*by_set.values(), strict=True)])


def mean_ranks(table: Grid) -> dict[str, float]:
    """Return each contender's mean rank over sets, 1 the best; equals share the mean of their ranks."""
    names = list(table)
    sets = list(next(iter(table.values())))
    ranks = [stats.rankdata([-float(np.mean(table[name][data])) for name in names]) for data in sets]
    return {name: float(value) for name, value in zip(names, np.mean(ranks, axis=0), strict=True)}


@dataclass(frozen=True)
class Paired:
    """Two contenders on the same sets and seeds.

    Attributes:
        difference: mean over sets of ours minus theirs, its interval over sets.
        p: of the paired t-test over sets; None with one set or no spread.
        wins, draws, losses: sets on which ours is better by more than half a point, near, or worse.
    """

    peer: str
    difference: Mean
    p: float | None
    wins: int
    draws: int
    losses: int


def paired(table: Grid, ours: str, peer: str) -> Paired:
    """Return ours against ``peer``, set by set: seeds of one set are not independent evidence, so they are averaged."""
    differences = [float(np.mean(table[ours][data]) - np.mean(table[peer][data])) for data in table[ours]]
    p = None
    if len(differences) > 1 and float(np.std(differences)) > 0:
        p = float(stats.ttest_1samp(differences, 0.0).pvalue)
    # Rounded, for 0.505 - 0.5 is not quite half a point.
    wins = sum(round(value, 9) > NEAR for value in differences)
    losses = sum(round(value, 9) < -NEAR for value in differences)
    return Paired(peer, mean_of(differences), p, wins, len(differences) - wins - losses, losses)


def best_peer(table: Grid, ours: str) -> str | None:
    """Return the peer with the best mean over sets."""
    means = {name: overall(by_set).value for name, by_set in table.items() if name != ours and by_set}
    return max(means, key=lambda name: means[name]) if means else None


def best_or_near(table: Grid, ours: str) -> list[str]:
    """Return the sets on which ours is the best or within half a point of it."""
    best = {data: max(float(np.mean(by_set[data])) for by_set in table.values()) for data in table[ours]}
    return [data for data, value in best.items() if round(value - float(np.mean(table[ours][data])), 9) <= NEAR]


def times_sooner(tables: Mapping[float, Grid], ours: str, budget_s: float) -> dict[str, float]:
    """Return how many times sooner ours reaches what the best peer has at ``budget_s``, by set.

    The peer is the best single one at that budget. The smallest measured budget at which ours reaches it counts, so
    that the figure is a lower bound; 0 where ours reaches it under no measured budget.
    """
    peer = best_peer(tables[budget_s], ours)
    if peer is None:
        return {}
    found = {}
    for data, values in tables[budget_s][peer].items():
        level = float(np.mean(values))
        reached = [
            budget
            for budget, table in tables.items()
            if data in table.get(ours, {}) and float(np.mean(table[ours][data])) >= level
        ]
        found[data] = budget_s / min(reached) if reached else 0.0
    return found
