from __future__ import annotations

from spaces.backbones._base import Pretrained
from spaces.decisions import detector
from spaces.decisions.box_head import PLAIN, BoxHead, Choices, Range, decision
from spaces.networks.space import Random


def test_what_does_not_matter_is_the_plain_recipes(tiny: Pretrained) -> None:
    wanted = BoxHead(256, 1)
    expected = {"faster_rcnn": wanted, "fcos": BoxHead(PLAIN.width, 1), "retinanet": PLAIN}
    for kind, settled in expected.items():
        chain = detector.decision.apply(tiny.chain, kind)
        assert decision.settle(wanted, chain) == settled
        narrowed = decision.narrow(decision.choices(chain, Range()), chain)
        assert decision.params(settled, narrowed) is not None
        drawn = decision.sample(Random(1), narrowed)
        assert decision.settle(drawn, chain) == drawn


def test_it_is_described_as_the_detector_has_it(tiny: Pretrained) -> None:
    assert decision.words(BoxHead(256, 2), tiny.chain) == "box head 256 -> 256"
    chain = detector.decision.apply(tiny.chain, "fcos")
    assert decision.words(BoxHead(1024, 3), chain) == "6 convolutions per box"


def test_smallest_and_largest_are_the_ends(tiny: Pretrained) -> None:
    assert decision.extremes(Choices(Range()), tiny.chain) == (BoxHead(256, 1), BoxHead(1024, 3))
