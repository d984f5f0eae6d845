from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from search.ranking.estimators._base import Evidence
from search.ranking.estimators.knn import estimator


def test_it_is_scikit_learns_with_each_sample_left_out() -> None:
    random = np.random.default_rng(9)
    labels = np.arange(50) % 3
    features = random.normal(size=(50, 8)) + labels[:, None] * 0.6
    voting = KNeighborsClassifier(5, metric="cosine", weights=lambda distances: 2 - distances)
    expected = cross_val_score(voting, features, labels, cv=LeaveOneOut()).mean()
    assert estimator.score(Evidence(features, labels)) == pytest.approx(expected)
