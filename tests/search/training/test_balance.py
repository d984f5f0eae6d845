from __future__ import annotations

import numpy as np
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F

from search.training.balance import class_weights, weighted

LABELS = torch.tensor([0] * 6 + [1] * 3 + [2])


def test_weights_are_those_of_scikit_learn() -> None:
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS.numpy())
    torch.testing.assert_close(class_weights(LABELS, 3), torch.tensor(expected, dtype=torch.float32))
    assert class_weights(LABELS, 4)[3] == 0
    torch.testing.assert_close(class_weights(LABELS, 3)[LABELS].mean(), torch.tensor(1.0))


def test_the_mean_loss_is_the_weighted_one() -> None:
    logits = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    weights = class_weights(LABELS, 3)
    expected = (F.cross_entropy(logits, LABELS, reduction="none") * weights[LABELS]).mean()
    torch.testing.assert_close(F.cross_entropy(logits, weighted(LABELS, weights)), expected)
    # With all samples in one batch that is torch's own weighting.
    torch.testing.assert_close(expected, F.cross_entropy(logits, LABELS, weight=weights))
    mixed = 0.7 * F.one_hot(LABELS, 3) + 0.3 * F.one_hot(LABELS.roll(1), 3)
    torch.testing.assert_close(
        F.cross_entropy(logits, weighted(mixed, weights)), F.cross_entropy(logits, mixed, weight=weights)
    )
