"""LogME: how probable the labels are under Bayesian linear regression on the features."""

from __future__ import annotations

import numpy as np

from search.ranking.estimators._base import Estimator, Evidence, Floats

_ROUNDS = 100
_CLOSE = 1e-6


class LogME(Estimator):
    """Logarithm of maximum evidence per sample, averaged over one-vs-rest targets.

    You et al. 2021 (https://arxiv.org/abs/2102.11005): weights have the prior ``N(0, 1/alpha)``, targets the noise
    ``N(0, 1/beta)``; alpha and beta are those that make the labels most probable, found by MacKay's fixed point.
    """

    name, title, rank = "logme", "LogME", 0
    source = "https://arxiv.org/abs/2102.11005"

    def score(self, evidence: Evidence) -> float:
        left, singular, _ = np.linalg.svd(evidence.features, full_matrices=False)
        targets = evidence.one_hot
        width = evidence.features.shape[1]
        evidences = [
            evidence_of(left.T @ target, float(target @ target), singular**2, len(target), width)
            for target in targets.T
        ]
        return float(np.mean(evidences))


def evidence_of(projected: Floats, energy: float, spectrum: Floats, count: int, width: int) -> float:
    """Return the largest log evidence of one target, over ``count``.

    Args:
        projected: the target in the basis of the features' left singular vectors, ``(k,)``.
        energy: the target's squared length.
        spectrum: squared singular values ``(k,)`` of the features ``(count, width)``.
    """
    outside = max(energy - float(projected @ projected), 0.0)  # of the target's energy, out of the features' reach
    alpha, beta = 1.0, 1.0
    for _ in range(_ROUNDS):
        gamma, length, error = _moments(alpha, beta, projected, outside, spectrum)
        before = alpha / beta
        alpha = gamma / max(length, 1e-12)
        beta = max(count - gamma, 1e-12) / max(error, 1e-12)
        if abs(alpha / beta - before) <= _CLOSE * before:
            break
    _, length, error = _moments(alpha, beta, projected, outside, spectrum)
    determinant = float(np.log(alpha + beta * spectrum).sum()) + (width - len(spectrum)) * np.log(alpha)
    total = count * np.log(beta) + width * np.log(alpha) - count * np.log(2 * np.pi)
    return float((total - beta * error - alpha * length - determinant) / 2 / count)


def _moments(
    alpha: float, beta: float, projected: Floats, outside: float, spectrum: Floats
) -> tuple[float, float, float]:
    """Return the effective number of weights, their squared length, and the squared error, at the most likely ones."""
    shrunk = alpha + beta * spectrum
    gamma = float((beta * spectrum / shrunk).sum())
    length = float((spectrum * (beta * projected / shrunk) ** 2).sum())
    error = outside + float(((alpha * projected / shrunk) ** 2).sum())
    return gamma, length, error


estimator = LogME()
