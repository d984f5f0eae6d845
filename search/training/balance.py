"""Balances classes of different sizes, by how often their samples are drawn or by their loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Return the weight of a sample of each class ``(classes,)``: the inverse of the class's share, 1 on average.

    As scikit-learn's ``class_weight="balanced"``: ``N / (non-empty classes * N_class)``, and 0 for an empty class.
    """
    counts = torch.bincount(labels, minlength=classes).double()
    present = counts > 0
    weights = torch.where(present, len(labels) / counts.clamp(min=1) / present.sum().clamp(min=1), 0.0)
    return weights.float()


def weighted(targets: Tensor, weights: Tensor) -> Tensor:
    """Return targets as class probabilities ``(N, classes)``, each times the weight of its class.

    Cross-entropy is linear in them, so that its mean becomes the weighted one. ``targets`` are class indices ``(N,)``
    or probabilities ``(N, classes)``.
    """
    probabilities = F.one_hot(targets, len(weights)).float() if targets.ndim == 1 else targets
    return probabilities * weights.to(probabilities.device)
