from __future__ import annotations

from torch import nn

from spaces.chains.chain import Unit
from spaces.detector import FACT, PLAIN_STYLE, PretrainedDetector, pretrained_detector

OWN = PretrainedDetector("retinanet", ("a", "b"), 8, 2, 256, ((32.0,),) * 4, PLAIN_STYLE)


def test_a_chain_remembers_whose_backbone_it_is() -> None:
    assert pretrained_detector({FACT: OWN, "detector": "fcos"}) is OWN
    assert pretrained_detector({"detector": "fcos"}) is None


def test_its_own_pyramid_begins_and_ends_where_it_does() -> None:
    first, second = Unit("a", nn.Identity()), Unit("b", nn.Identity())
    assert OWN.stands_on([first, second], 2)
    assert not OWN.stands_on([second], 2)
    assert not OWN.stands_on([first, second], 1)
