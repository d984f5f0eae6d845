from __future__ import annotations

import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from search.tasks._calibration import expected_calibration_error


def test_the_error_is_that_of_torchmetrics_over_classes() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(500, 5, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator).squeeze(1)
    confidence, predicted = logits.softmax(dim=1).max(dim=1)
    whole = multiclass_calibration_error(logits.softmax(dim=1), labels, num_classes=5, n_bins=15, norm="l1")
    assert expected_calibration_error(confidence, predicted == labels) == pytest.approx(float(whole), abs=1e-6)
    assert expected_calibration_error(torch.zeros(0), torch.zeros(0)) == 0.0
    assert expected_calibration_error(torch.ones(4), torch.zeros(4)) == pytest.approx(1.0)
