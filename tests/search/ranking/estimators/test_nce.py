from __future__ import annotations

import numpy as np
import pytest

from search.ranking.estimators._base import Evidence
from search.ranking.estimators.nce import estimator


def test_answers_that_tell_the_labels_leave_nothing_uncertain() -> None:
    labels = np.arange(12) % 3
    assert estimator.score(Evidence(np.zeros((12, 1)), labels, np.eye(5)[labels])) == pytest.approx(0)


def test_answers_that_tell_nothing_leave_the_labels_entropy() -> None:
    labels = np.arange(12) % 3
    same = np.tile([0.1, 0.9], (12, 1))
    assert estimator.score(Evidence(np.zeros((12, 1)), labels, same)) == pytest.approx(-np.log(3))


def test_it_is_the_conditional_entropy_counted_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1, 0, 1, 1])
    named = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    entropy = 0.5 * -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) * 2
    assert estimator.score(Evidence(np.zeros((8, 1)), labels, np.eye(2)[named])) == pytest.approx(-entropy)
    with pytest.raises(ValueError, match="classes"):
        estimator.score(Evidence(np.zeros((8, 1)), labels))
