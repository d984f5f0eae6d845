"""The effect of one parameter on the objective, if there are enough trials to estimate it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from search.records.study import StudyRecord, TrialRecord
from search.report import parameters, shown_trials
from search.sampling.importance import of_draws

FEWEST = 5
"""Fewest trials on either side of a comparison."""
_DRAWS = 1000
_MANY = 300
"""Values from which on the normal distribution stands in for the bootstrap, which costs seconds and gigabytes."""
_DEVIATIONS = 1.96
"""Standard deviations to either side that hold 95 % of a normal distribution."""
_RESAMPLED, _REPEATS = 200, 40
"""Bootstrap of importances: most trials that are resampled, and number of replicates."""
Floats = NDArray[np.float64]


class Effect(NamedTuple):
    """Values of a parameter that go with better results.

    Attributes:
        words: ``best: 5x5``, ``higher is better``.
        trials: with the better value, or with any if it is a number; ``others`` those it is compared with.
    """

    words: str
    trials: int
    others: int

    def __str__(self) -> str:
        counts = f"n = {self.trials} against {self.others}" if self.others else f"n = {self.trials}"
        return f"{self.words} ({counts})"


def comparable(study: StudyRecord) -> list[TrialRecord]:
    """Return the complete trials that ran the most common number of epochs.

    A value after two epochs cannot be compared with one after twenty, so pruned trials are left out.
    """
    done = [trial for trial in study.ranking if shown_trials.epochs_run(trial)]
    if not done:
        return list(study.ranking)
    counts = Counter(shown_trials.epochs_run(trial) for trial in done)
    most = max(counts, key=lambda epochs: (counts[epochs], epochs))
    return [trial for trial in done if shown_trials.epochs_run(trial) == most]


def effect(name: str, trials: Sequence[TrialRecord], *, maximize: bool) -> Effect | None:
    """Return which values of the parameter ``name`` better trials had; None if ``trials`` cannot tell.

    Each side of a comparison has at least ``FEWEST`` trials, and its 95 % interval excludes zero: by the bootstrap, of
    ``_MANY`` trials or more by the normal distribution.
    """
    having = [trial for trial in trials if name in trial.params and trial.value is not None]
    if len(having) < 2 * FEWEST:
        return None
    values = [trial.params[name] for trial in having]
    quality = np.array([trial.value if maximize else -(trial.value or 0.0) for trial in having], dtype=float)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return _of_numbers(np.array(values, dtype=float), quality)
    return _of_words([parameters.value(value) for value in values], quality)


def _of_numbers(values: Floats, quality: Floats) -> Effect | None:
    low, high = _correlation_interval(values, quality)
    if low <= 0 <= high:
        return None
    return Effect("higher is better" if low > 0 else "lower is better", len(values), 0)


def _correlation_interval(values: Floats, quality: Floats) -> tuple[float, float]:
    """Return the 95 % interval of Spearman's correlation; zeros where it is not defined."""
    if len(values) >= _MANY:
        correlation = float(_correlations(values[None], quality[None])[0])
        if not math.isfinite(correlation):
            return 0.0, 0.0
        # Fisher's transformation, its error after Bonett and Wright, https://doi.org/10.1007/BF02294183
        middle = math.atanh(max(min(correlation, 1 - 1e-12), 1e-12 - 1))
        error = _DEVIATIONS * math.sqrt((1 + correlation**2 / 2) / (len(values) - 3))
        return math.tanh(middle - error), math.tanh(middle + error)
    drawn = np.random.default_rng(0).integers(0, len(values), (_DRAWS, len(values)))
    correlations = _correlations(values[drawn], quality[drawn])
    known = correlations[np.isfinite(correlations)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (0.0, 0.0)
    return float(low), float(high)


def _correlations(values: Floats, quality: Floats) -> Floats:
    """Return Spearman's correlation of each row; NaN where all values of a row are equal."""
    from scipy.stats import rankdata  # noqa: PLC0415  # pages of young studies need none of it

    left, right = (rankdata(rows, axis=1) for rows in (values, quality))
    left, right = (rows - rows.mean(axis=1, keepdims=True) for rows in (left, right))
    with np.errstate(invalid="ignore"):
        correlations: Floats = (left * right).sum(axis=1) / np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    return correlations


def _of_words(values: Sequence[str], quality: Floats) -> Effect | None:
    groups: dict[str, list[float]] = defaultdict(list)
    for value, one in zip(values, quality.tolist(), strict=True):
        groups[value].append(one)
    known = {value: np.array(qualities) for value, qualities in groups.items() if len(qualities) >= FEWEST}
    if not known:
        return None
    best = max(known, key=lambda value: float(known[value].mean()))
    others = np.array([one for value, qualities in groups.items() if value != best for one in qualities])
    if len(others) < FEWEST:
        return None
    if _least_difference(known[best], others) <= 0:
        return None
    return Effect(f"best: {best}", len(known[best]), len(others))


def _least_difference(side: Floats, others: Floats) -> float:
    """Return the lower end of the 95 % interval of the difference of two means."""
    random = np.random.default_rng(0)
    return float(np.quantile(_means(side, random) - _means(others, random), 0.025))


def _means(values: Floats, random: np.random.Generator) -> Floats:
    """Return means of ``values`` drawn anew."""
    count = len(values)
    if count >= _MANY:
        return random.normal(values.mean(), values.std(ddof=1) / math.sqrt(count), _DRAWS)
    means: Floats = values[random.integers(0, count, (_DRAWS, count))].mean(axis=1)
    return means


def intervals(trials: Sequence[TrialRecord], *, maximize: bool) -> dict[str, tuple[float, float]]:
    """Return the 90 % bootstrap interval of every parameter's importance, from resampled ``trials``.

    Empty if there are too few, or no differences between them.
    """
    random, by_name = np.random.default_rng(0), defaultdict[str, list[float]](list)
    chosen = list(trials)
    if len(chosen) > _RESAMPLED:
        chosen = [chosen[index] for index in sorted(random.permutation(len(chosen))[:_RESAMPLED])]
    rounds = 0
    draws = (random.integers(0, len(chosen), len(chosen)).tolist() for _ in range(_REPEATS if chosen else 0))
    for shares in of_draws(chosen, draws, maximize=maximize):
        rounds += bool(shares)
        for name, share in shares.items():
            by_name[name].append(share)
    # A parameter that a draw did not hold had no importance in it.
    padded: dict[str, Any] = {name: [*shares, *[0.0] * (rounds - len(shares))] for name, shares in by_name.items()}
    return {name: tuple(np.quantile(shares, [0.05, 0.95]).tolist()) for name, shares in padded.items()}
