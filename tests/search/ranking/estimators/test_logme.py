from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from search.ranking.estimators._base import Evidence
from search.ranking.estimators.logme import estimator


def slow(features: np.ndarray, target: np.ndarray) -> float:
    """Return the largest log evidence by searching for it: ``y ~ N(0, 1/beta + F F' / alpha)``."""

    def negative(logs: np.ndarray) -> float:
        alpha, beta = np.exp(logs)
        covariance = np.eye(len(target)) / beta + features @ features.T / alpha
        return -float(multivariate_normal(np.zeros(len(target)), covariance).logpdf(target))

    starts = [(0.0, 0.0), (3.0, 1.0), (-2.0, 2.0), (4.0, 4.0)]
    found = [
        minimize(negative, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9}) for start in starts
    ]
    return -min(result.fun for result in found) / len(target)


@pytest.mark.parametrize(("count", "width"), [(40, 6), (24, 40)])
def test_it_is_the_largest_evidence_of_bayesian_linear_regression(count: int, width: int) -> None:
    random = np.random.default_rng(width)
    labels = np.arange(count) % 3
    features = random.normal(size=(count, width)) + labels[:, None] * random.normal(size=width) * 0.5
    expected = np.mean([slow(features, (labels == place).astype(float)) for place in range(3)])
    assert estimator.score(Evidence(features, labels)) == pytest.approx(expected, abs=2e-3)


def test_the_papers_own_recommendation_of_scale_does_not_matter() -> None:
    # With its prior fitted, evidence does not depend on the unit in which features are measured.
    random = np.random.default_rng(0)
    labels = np.arange(30) % 2
    features = random.normal(size=(30, 5)) + labels[:, None]
    one = estimator.score(Evidence(features, labels))
    assert estimator.score(Evidence(features * 100, labels)) == pytest.approx(one, abs=1e-4)
