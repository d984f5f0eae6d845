from __future__ import annotations

import math

import pytest
import torch

from search.tasks._calibration import expected_calibration_error
from search.training.calibration import fit_temperature


def drawn(count: int = 4000) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that are honest: labels are drawn from the probabilities they give."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(count, 5, generator=generator)
    return logits, torch.multinomial(logits.softmax(dim=1), 1, generator=generator).squeeze(1)


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0, 8.0])
def test_the_temperature_undoes_what_made_logits_too_sure(factor: float) -> None:
    logits, labels = drawn()
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.05)


def test_it_mends_calibration_and_keeps_predictions() -> None:
    logits, labels = drawn()
    sure = 4 * logits
    temperature = fit_temperature(sure, labels)

    def error(outputs: torch.Tensor) -> float:
        confidence, predicted = outputs.softmax(dim=1).max(dim=1)
        return expected_calibration_error(confidence, predicted == labels)

    assert error(sure) > 0.1
    assert error(sure / temperature) < 0.03
    assert torch.equal((sure / temperature).argmax(dim=1), sure.argmax(dim=1))


def test_samples_that_are_all_right_or_all_wrong_have_a_temperature_too() -> None:
    logits = torch.tensor([[3.0, 0.0], [0.0, 3.0]])
    right, wrong = fit_temperature(logits, torch.tensor([0, 1])), fit_temperature(logits, torch.tensor([1, 0]))
    assert 0.05 <= right < 0.1
    assert 10 < wrong <= 20
    assert math.isfinite(fit_temperature(torch.zeros(1, 3), torch.tensor([1])))


def test_what_is_not_a_pair_of_logits_and_labels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected logits \(N, classes\) and labels \(N,\)"):
        fit_temperature(torch.zeros(3, 2), torch.zeros(2))
    with pytest.raises(ValueError, match="at least one sample"):
        fit_temperature(torch.zeros(0, 2), torch.zeros(0))
    with pytest.raises(ValueError, match="not all finite"):
        fit_temperature(torch.tensor([[float("nan"), 0.0]]), torch.tensor([0]))
