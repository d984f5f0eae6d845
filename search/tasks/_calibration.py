"""Calibration: how well a classifier's confidence matches its accuracy, and its loss once that has been mended."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

BINS = 15
"""Bins of equal width, as in https://arxiv.org/abs/1706.04599."""

TEMPERATURES = tuple(2 ** (step / 2) for step in range(-4, 9))
"""What logits are divided by, from 0.25 to 16, to find the one that calibrates them."""


def losses_by_temperature(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy ``(N, T)`` of each sample at each of ``TEMPERATURES``.

    The least mean over samples is the loss after temperature scaling (https://arxiv.org/abs/1706.04599): what a network
    knows, however sure training has made it.

    Args:
        logits: ``(N, classes)``.
        labels: class indices ``(N,)``.
    """
    return torch.stack([F.cross_entropy(logits.float() / one, labels, reduction="none") for one in TEMPERATURES], dim=1)


def expected_calibration_error(confidence: Tensor, correct: Tensor) -> float:
    """Return the mean distance between confidence and accuracy over bins of confidence: 0 is perfect, 1 the worst.

    NaN if a confidence is NaN, which belongs to no bin.

    Args:
        confidence: probability ``(N,)`` given to the predicted class.
        correct: whether that class was right, ``(N,)``.
    """
    if not len(confidence):
        return 0.0
    if bool(confidence.isnan().any()):
        return math.nan
    bins = (confidence * BINS).long().clamp(max=BINS - 1)
    # A bin's distance times its share of samples is the sum of its differences over the number of samples.
    gaps = torch.zeros(BINS, dtype=torch.float64, device=confidence.device)
    gaps.index_add_(0, bins, confidence.double() - correct.double())
    return float(gaps.abs().sum() / len(confidence))
