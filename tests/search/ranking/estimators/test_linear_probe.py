from __future__ import annotations

import numpy as np

from search.ranking.estimators._base import Evidence
from search.ranking.estimators.linear_probe import estimator


def test_it_separates_what_a_plane_separates_and_only_guesses_at_noise() -> None:
    random = np.random.default_rng(7)
    labels = np.arange(60) % 2
    noise = random.normal(size=(60, 20))
    assert estimator.score(Evidence(noise + 4 * labels[:, None], labels)) > 0.95
    assert 0.2 < estimator.score(Evidence(noise, labels)) < 0.8


def test_a_class_of_two_samples_is_enough() -> None:
    labels = np.array([0, 0] + [1] * 10)
    assert 0 <= estimator.score(Evidence(np.random.default_rng(8).normal(size=(12, 3)), labels)) <= 1
