from __future__ import annotations

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions.label_smoothing import Range, decision
from spaces.errors import CandidateError


def test_a_smoothed_label_is_described(tiny: Pretrained) -> None:
    assert decision.words(0.1, tiny.chain) == "label smoothing 0.1"
    assert decision.words(0.0, tiny.chain) == ""


def test_shares_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="range is empty"):
        Range(low=0.3, high=0.1)
    with pytest.raises(ValueError, match=r"label_smoothing\.high"):
        Range(high=0.95)
    with pytest.raises(CandidateError, match=r"from 0 to 0\.9, got 1\.0"):
        decision.parse(1.0)
