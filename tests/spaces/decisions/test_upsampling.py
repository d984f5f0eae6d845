from __future__ import annotations

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions.upsampling import Range, decision


def test_learnt_ways_are_described(tiny: Pretrained) -> None:
    assert decision.words("bilinear", tiny.chain) == ""
    assert decision.words("transposed", tiny.chain) == "transposed convolutions up"
    assert decision.words("pixel_shuffle", tiny.chain) == "pixel shuffle up"
    assert decision.params("transposed", Range(kinds=("bilinear",))) is None
    with pytest.raises(ValueError, match=r"upsampling\.kinds: expected one of bilinear, transposed, pixel_shuffle"):
        Range(kinds=("nearest",))
