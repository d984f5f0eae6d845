from __future__ import annotations

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions.pyramid_width import Range, decision
from spaces.errors import CandidateError


def test_widths_are_multiples_that_heads_can_normalise() -> None:
    with pytest.raises(ValueError, match="multiples of 32, got 100"):
        Range(widths=(100,))
    with pytest.raises(CandidateError, match="multiple of 32, got 70"):
        decision.parse(70)


def test_smallest_and_largest_are_the_ends(tiny: Pretrained) -> None:
    assert decision.extremes(Range(), tiny.chain) == (64, 256)
    assert decision.words(128, tiny.chain) == "pyramid of 128 channels"
