"""The temperature that calibrates a classifier's confidence."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

_RANGE = (0.05, 20.0)


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature that calibrates probabilities on these samples when logits are divided by it.

    It minimises the negative log-likelihood (Guo 2017, https://arxiv.org/abs/1706.04599), between 0.05 and 20: if every
    sample is right, it would tend to 0. Predicted classes never change.

    Args:
        logits: ``(N, classes)`` of samples that the network was not trained on: validation, not test.
        labels: class indices ``(N,)``.

    Raises:
        ValueError: no samples, mismatched shapes, or logits that are not finite.
    """
    from scipy.optimize import minimize_scalar  # noqa: PLC0415  # half a second for those who calibrate, not for all

    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        raise ValueError(
            f"expected logits (N, classes) and labels (N,) of at least one sample, got {tuple(logits.shape)} and "
            f"{tuple(labels.shape)}"
        )
    scores, targets = logits.detach().double().cpu(), labels.detach().long().cpu()
    if not bool(scores.isfinite().all()):
        raise ValueError("the logits are not all finite, so that no temperature fits them")

    def loss(logarithm: float) -> float:
        return float(F.cross_entropy(scores / math.exp(logarithm), targets))

    bounds = (math.log(_RANGE[0]), math.log(_RANGE[1]))
    fitted = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return math.exp(float(fitted.x))
