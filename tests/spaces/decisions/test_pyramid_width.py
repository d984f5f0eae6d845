from __future__ import annotations

from dataclasses import replace

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions.pyramid_width import Range, decision
from spaces.detector import FACT, PretrainedDetector
from spaces.errors import CandidateError


def test_widths_are_multiples_that_heads_can_normalise() -> None:
    with pytest.raises(ValueError, match="multiples of 32, got 100"):
        Range(widths=(100,))
    with pytest.raises(CandidateError, match="multiple of 32, got 70"):
        decision.parse(70)


def test_smallest_and_largest_are_the_ends(tiny: Pretrained) -> None:
    assert decision.extremes(decision.choices(tiny.chain, Range()), tiny.chain) == (64, 256)
    assert decision.words(128, tiny.chain) == "pyramid of 128 channels"


def test_a_pretrained_detectors_own_width_is_offered_and_plain(tiny: Pretrained) -> None:
    own = PretrainedDetector("rtdetr", (), 8, 0, 384)
    chain = replace(tiny.chain, facts={**tiny.chain.facts, FACT: own})
    choices = decision.choices(chain, Range())
    assert choices.widths == (64, 128, 256, 384)
    assert decision.baseline(chain) == choices.plain == 384
    assert decision.words(384, chain) == ""
