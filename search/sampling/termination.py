"""How much better a search may still get: Optuna's terminator (https://arxiv.org/abs/2104.08166)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

from optuna.exceptions import ExperimentalWarning
from optuna.search_space import intersection_search_space
from optuna.study import StudyDirection

from search.records.study import PastTrial
from search.sampling.samplers import frozen, is_complete

LEAST = 20
"""Fewest complete trials from which anything is known about what others may reach."""


def promised(trials: Sequence[PastTrial], *, maximize: bool) -> float:
    """Return how much better than the best of ``trials`` another candidate may be, at most with high probability.

    That is the upper confidence bound of a Gaussian process over the decisions that all trials share, less the lower
    one of the best trial, in units of the objective. Infinity with fewer than ``LEAST`` complete trials, and where they
    share no decision.
    """
    from optuna.terminator import RegretBoundEvaluator  # noqa: PLC0415  # loads SciPy's optimisers, which few need

    complete = [frozen(trial) for trial in trials if is_complete(trial) and trial.is_feasible and trial.params]
    if len(complete) < LEAST or not intersection_search_space(complete):
        return math.inf
    direction = StudyDirection.MAXIMIZE if maximize else StudyDirection.MINIMIZE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return float(RegretBoundEvaluator(min_n_trials=LEAST, seed=0).evaluate(complete, direction))
