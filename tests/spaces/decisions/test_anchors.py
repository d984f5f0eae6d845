from __future__ import annotations

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions import detector
from spaces.decisions.anchors import PLAIN, Anchors, Choices, Range, decision
from spaces.errors import CandidateError


def test_fcos_has_none(tiny: Pretrained) -> None:
    chain = detector.decision.apply(tiny.chain, "fcos")
    assert decision.settle(Anchors("data", 0.5), chain) == PLAIN
    narrowed = decision.narrow(Choices(Range()), chain)
    assert decision.params(PLAIN, narrowed) == {}
    assert decision.params(Anchors("data", 0.5), narrowed) is None


def test_anchors_from_the_data_bring_their_own_ratios() -> None:
    found = decision.params(Anchors("data", 0.5), Choices(Range()))
    assert found == {"anchors.source": "data", "anchors.scale": 0.5}


def test_ranges_and_values_are_checked() -> None:
    with pytest.raises(ValueError, match=r"anchors.scales: must be between 0.05 and 20"):
        Range(scales=(0.0,))
    with pytest.raises(CandidateError, match=r"anchors.source must be one of usual, data"):
        decision.parse({"source": "k-means", "scale": 1.0, "ratios": "three"})


def test_it_is_described(tiny: Pretrained) -> None:
    assert decision.words(Anchors("data", 0.5), tiny.chain) == "anchors from the data, 0.5 times as large"
    assert decision.words(Anchors("usual", 1.0, "five"), tiny.chain) == "anchors with five ratios"
