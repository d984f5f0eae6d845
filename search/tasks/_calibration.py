"""How far a classifier's confidence can be believed."""

from __future__ import annotations

from torch import Tensor
from torchmetrics.functional.classification import binary_calibration_error

BINS = 15
"""Of equal width, as in https://arxiv.org/abs/1706.04599."""


def expected_calibration_error(confidence: Tensor, correct: Tensor) -> float:
    """Return the mean distance between confidence and accuracy over bins of confidence: 0 is honest, 1 the worst.

    Args:
        confidence: probability ``(N,)`` given to the predicted class.
        correct: whether that was right, ``(N,)``.
    """
    if not len(confidence):
        return 0.0
    hits = correct.long()
    return float(binary_calibration_error(confidence, hits, n_bins=BINS, norm="l1", validate_args=False))
