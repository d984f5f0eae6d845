from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from search.ranking.estimators._base import Evidence
from search.ranking.estimators.hscore import estimator


def test_it_is_the_trace_of_the_papers() -> None:
    random = np.random.default_rng(3)
    labels = np.array([0] * 10 + [1] * 14 + [2] * 20)
    features = random.normal(size=(44, 7)) + labels[:, None] * random.normal(size=7)
    fitted = LedoitWolf().fit(features)
    centred = features - features.mean(axis=0)
    conditional = np.array([centred[labels == label].mean(axis=0) for label in labels])  # g(x) = E[f(X) | y]
    between = conditional.T @ conditional / len(labels)
    expected = (1 - fitted.shrinkage_) * np.trace(np.linalg.inv(fitted.covariance_) @ between)
    assert estimator.score(Evidence(features, labels)) == pytest.approx(expected, rel=1e-6)


def test_more_features_than_samples_do_no_harm() -> None:
    random = np.random.default_rng(4)
    labels = np.arange(20) % 2
    noise = random.normal(size=(20, 300))
    apart = noise + 2 * labels[:, None]
    assert estimator.score(Evidence(apart, labels)) > estimator.score(Evidence(noise, labels)) >= 0
