from __future__ import annotations

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions import detector
from spaces.decisions.proposals import PLAIN, Range, decision


def test_one_stage_detectors_have_none(tiny: Pretrained) -> None:
    chain = detector.decision.apply(tiny.chain, "retinanet")
    assert decision.settle(100, chain) == PLAIN
    assert decision.params(100, decision.narrow(decision.choices(chain, Range()), chain)) is None
    assert decision.settle(100, detector.decision.apply(tiny.chain, "faster_rcnn")) == 100


def test_ranges_are_checked() -> None:
    with pytest.raises(ValueError, match=r"proposals.kept: must be between 1 and 10000"):
        Range(kept=(0,))
