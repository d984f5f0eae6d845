from __future__ import annotations

import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from torchmetrics.functional.classification import multiclass_calibration_error

from search.tasks._calibration import TEMPERATURES, expected_calibration_error, losses_by_temperature


def test_the_error_is_that_of_torchmetrics_over_classes() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(500, 5, generator=generator)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator).squeeze(1)
    confidence, predicted = logits.softmax(dim=1).max(dim=1)
    whole = multiclass_calibration_error(logits.softmax(dim=1), labels, num_classes=5, n_bins=15, norm="l1")
    assert expected_calibration_error(confidence, predicted == labels) == pytest.approx(float(whole), abs=1e-6)
    assert expected_calibration_error(torch.zeros(0), torch.zeros(0)) == 0.0
    assert expected_calibration_error(torch.ones(4), torch.zeros(4)) == pytest.approx(1.0)


def test_the_least_loss_over_temperatures_is_within_a_hundredth_of_the_best_one() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = 6 * torch.randn(400, 5, generator=generator)
    labels = torch.multinomial((logits / 4).softmax(dim=1), 1, generator=generator).squeeze(1)
    found = losses_by_temperature(logits, labels)
    assert found.shape == (400, len(TEMPERATURES))

    def loss(temperature: float) -> float:
        return -float(log_softmax(logits.double().numpy() / temperature, axis=1)[range(400), labels.numpy()].mean())

    least = minimize_scalar(loss, bounds=(0.1, 20), method="bounded").fun
    assert [float(mean) for mean in found.mean(dim=0)] == pytest.approx([loss(one) for one in TEMPERATURES], rel=1e-5)
    assert least <= float(found.mean(dim=0).min()) <= 1.01 * least
    assert float(found[:, TEMPERATURES.index(1.0)].mean()) > 1.5 * least
