from __future__ import annotations

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions.auxiliary_loss import Range, decision
from spaces.errors import CandidateError


def test_its_weight_is_said_in_words(tiny: Pretrained) -> None:
    assert decision.words(0.4, tiny.chain) == "auxiliary loss x 0.4"
    assert decision.words(0.0, tiny.chain) == ""
    assert decision.params(0.3, Range()) is None


def test_weights_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"auxiliary_loss\.weights: must be between 0 and 2, got 3"):
        Range(weights=(3.0,))
    with pytest.raises(CandidateError, match="auxiliary_loss must be a number from 0 to 2"):
        decision.parse(-1)
