"""Every estimator of transferability ranks features as they deserve."""

from __future__ import annotations

import numpy as np
import pytest

from search.errors import UserError
from search.ranking.estimators import estimators
from search.ranking.estimators._base import Evidence


def evidence(distance: float, seed: int = 0, count: int = 90, width: int = 12) -> Evidence:
    """Return features in which three classes lie ``distance`` apart, and a network's answers that know as much."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    corners = np.linalg.qr(random.normal(size=(width, 3)))[0].T
    features = random.normal(size=(count, width)) + distance * corners[labels]
    logits = random.normal(size=(count, 7))
    logits[np.arange(count), labels] += distance
    return Evidence(features, labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("name", list(estimators()))
def test_features_that_part_the_classes_better_score_higher(name: str) -> None:
    scores = [estimators()[name].score(evidence(distance)) for distance in (0.0, 2.0, 5.0)]
    assert scores == sorted(scores)
    assert len(set(scores)) == 3


@pytest.mark.parametrize("name", list(estimators()))
def test_the_order_of_samples_and_the_names_of_classes_do_not_matter(name: str) -> None:
    plain = evidence(2.0)
    order = np.random.default_rng(1).permutation(len(plain.labels))
    assert plain.probabilities is not None
    mixed = Evidence(plain.features[order], (plain.labels[order] + 1) % 3, plain.probabilities[order])
    tolerance = 0.1 if name == "linear_probe" else 1e-6  # its folds are drawn again
    assert estimators()[name].score(mixed) == pytest.approx(estimators()[name].score(plain), abs=tolerance)


@pytest.mark.parametrize("name", list(estimators()))
def test_dead_features_do_no_harm(name: str) -> None:
    plain = evidence(2.0)
    dead = Evidence(np.hstack([plain.features, np.zeros((90, 3))]), plain.labels, plain.probabilities)
    assert np.isfinite(estimators()[name].score(dead))
    flat = Evidence(np.ones((90, 4)), plain.labels, np.full((90, 7), 1 / 7))
    assert np.isfinite(estimators()[name].score(flat))


@pytest.mark.parametrize("name", list(estimators()))
def test_an_estimator_names_its_source(name: str) -> None:
    assert estimators()[name].source.startswith("https://")
    assert estimators()[name].title


def test_an_unknown_estimator_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"unknown estimator 'logmee'; expected one of hscore, knn"):
        estimators(["logmee"])
    assert list(estimators(["knn", "logme", "knn"])) == ["knn", "logme"]
