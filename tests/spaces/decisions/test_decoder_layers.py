from __future__ import annotations

from dataclasses import replace

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions import detector
from spaces.decisions.decoder_layers import PLAIN, Range, decision
from spaces.detector import FACT, PretrainedDetector


@pytest.mark.parametrize("kind", ["faster_rcnn", "retinanet", "fcos"])
def test_detectors_with_anchors_or_points_have_none(tiny: Pretrained, kind: str) -> None:
    chain = detector.decision.apply(tiny.chain, kind)
    assert decision.settle(2, chain) == PLAIN
    assert decision.params(2, decision.narrow(decision.choices(chain, Range()), chain)) is None
    assert decision.words(2, chain) == ""


@pytest.mark.parametrize("kind", ["rtdetr", "dfine"])
def test_detectors_with_queries_have_them(tiny: Pretrained, kind: str) -> None:
    chain = detector.decision.apply(tiny.chain, kind)
    assert decision.settle(2, chain) == 2
    assert decision.params(2, decision.narrow(decision.choices(chain, Range()), chain)) == {"decoder_layers": 2}
    assert decision.words(2, chain) == "decoder depth 2"
    assert decision.words(PLAIN, chain) == ""


def test_a_pretrained_detectors_own_number_is_the_plain_one(tiny: Pretrained) -> None:
    own = PretrainedDetector("rtdetr", (), 8, 0, 256, settings={"decoder_layers": 5})
    chain = replace(tiny.chain, facts={**tiny.chain.facts, FACT: own})
    assert decision.baseline(chain) == 5
    assert decision.settle(2, detector.decision.apply(chain, "fcos")) == 5


def test_ranges_are_checked() -> None:
    with pytest.raises(ValueError, match=r"decoder_layers.depths: must be between 1 and"):
        Range(depths=(0,))
