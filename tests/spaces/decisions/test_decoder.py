from __future__ import annotations

import pytest

from spaces import backbones
from spaces.backbones._base import Pretrained
from spaces.decisions import registry
from spaces.decisions._base import NotApplicable
from spaces.decisions.decoder import Choices, Range, decision
from spaces.decoders._base import DecoderChoice
from spaces.errors import CandidateError
from spaces.networks.space import Random, Space


def test_the_depth_is_asked_for_only_where_there_is_one(tiny: Pretrained) -> None:
    choices = decision.choices(tiny.chain, Range())
    assert isinstance(choices, Choices)
    values = [decision.sample(Random(seed), choices) for seed in range(40)]
    assert {value.kind for value in values} == {"fcn", "deeplabv3", "lraspp", "unet"}
    assert {value.depth for value in values if value.kind == "lraspp"} == {1}
    assert {value.depth for value in values if value.kind == "fcn"} == {1, 2}
    assert decision.params(DecoderChoice("lraspp", 64, 1), choices) == {"decoder.kind": "lraspp", "decoder.width": 64}
    assert decision.params(DecoderChoice("unet", 64, 3), choices) is None
    assert decision.params(DecoderChoice("unet", 99, 1), choices) is None
    assert decision.settle(DecoderChoice("lraspp", 64, 3), tiny.chain) == DecoderChoice("lraspp", 64, 1)


def test_decoders_that_need_several_resolutions_are_not_offered_on_one() -> None:
    vit = backbones.resolve("vit_b_16").pretrained("none", (32, 32))
    choices = decision.choices(vit.chain, Range())
    assert isinstance(choices, Choices)
    assert choices.kinds == ("fcn", "deeplabv3")
    found = decision.choices(vit.chain, Range(kinds=("unet",)))
    assert isinstance(found, NotApplicable)
    assert "unet need more" in found.reason


def test_it_is_of_segmentation_alone(tiny: Pretrained) -> None:
    own = {"decoder", "upsampling", "auxiliary_loss", "segmentation_loss"}
    assert own <= set(registry("segmentation"))
    assert not own & set(registry("classification"))
    space = Space(tiny, {"decoder": Range()}, "segmentation")
    assert "fcn decoder of 256 channels" in space.words(space.baseline())
    assert decision.words(DecoderChoice("unet", 64, 2), tiny.chain) == "unet decoder of 64 channels, 2 layers"


def test_decoders_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"decoder\.kinds: expected one of .*fcn.*, got 'pspnet'"):
        Range(kinds=("pspnet",))
    with pytest.raises(ValueError, match=r"decoder\.widths: low must be at least 1"):
        Range(widths=(0,))
    with pytest.raises(ValueError, match=r"decoder\.depths: expected one of 1, 2, 3, 4, got 5"):
        Range(depths=(5,))
    with pytest.raises(CandidateError, match=r"decoder\.width must be a whole number from 1 to 65536"):
        decision.parse({"kind": "fcn", "width": 0, "depth": 1})


def test_a_backbone_that_ends_in_a_vector_has_its_maps_in_front_of_it() -> None:
    found = backbones.resolve("mobilenet_v3_small").pretrained("none", (64, 64))
    assert len(found.chain) > 10
    choices = decision.choices(found.chain, Range())
    assert isinstance(choices, Choices)
    assert choices.kinds == Range().kinds
