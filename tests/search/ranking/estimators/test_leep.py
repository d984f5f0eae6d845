from __future__ import annotations

import numpy as np
import pytest

from search.ranking.estimators._base import Evidence
from search.ranking.estimators.leep import estimator
from search.ranking.estimators.nce import estimator as nce


def slow(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return LEEP as section 3 of the paper writes it, one sum at a time."""
    count, sources = probabilities.shape
    joint = {
        (y, z): sum(probabilities[i, z] for i in range(count) if labels[i] == y) / count
        for y in set(labels)
        for z in range(sources)
    }
    marginal = [sum(joint[y, z] for y in set(labels)) for z in range(sources)]
    total = 0.0
    for i in range(count):
        total += np.log(sum(joint[labels[i], z] / marginal[z] * probabilities[i, z] for z in range(sources)))
    return total / count


def test_it_is_the_papers_formula() -> None:
    random = np.random.default_rng(5)
    labels = np.arange(30) % 4
    probabilities = random.dirichlet(np.ones(6), size=30)
    evidence = Evidence(np.zeros((30, 1)), labels, probabilities)
    assert estimator.score(evidence) == pytest.approx(slow(probabilities, labels))
    with pytest.raises(ValueError, match="classes"):
        estimator.score(Evidence(np.zeros((30, 1)), labels))


def test_with_certain_answers_it_is_nce() -> None:
    # Property 1 of the paper says that LEEP is at least NCE plus the log likelihood of the answers, 0 here.
    labels = np.arange(24) % 3
    certain = np.eye(5)[np.random.default_rng(6).integers(0, 5, 24)]
    evidence = Evidence(np.zeros((24, 1)), labels, certain)
    assert estimator.score(evidence) == pytest.approx(nce.score(evidence))
