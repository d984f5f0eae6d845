from __future__ import annotations

import pytest
import torch

from spaces import backbones
from spaces.backbones._base import Pretrained
from spaces.chains import probe
from spaces.decisions._base import NotApplicable
from spaces.decisions.stride import Range, Strides, decision, reductions
from spaces.errors import CandidateError


def test_a_reduction_switched_off_doubles_the_map(tiny: Pretrained) -> None:
    images = torch.randn(1, 3, 16, 16)
    plain = tiny.chain.forward(images).shape[-1]
    assert decision.apply(tiny.chain, Strides(("0",))).forward(images).shape[-1] == 2 * plain


def test_only_reductions_within_the_allowed_growth_are_offered(tiny: Pretrained) -> None:
    everything = decision.choices(tiny.chain, Range(max_growth=10.0))
    assert everything.names == ("0", "3.0")
    assert decision.choices(tiny.chain, Range(max_growth=2.0)).names == ("3.0",)


def test_small_images_may_cost_as_much_as_those_of_the_pretraining() -> None:
    backbone = backbones.resolve("mobilenet_v2")
    small = decision.choices(backbone.describe((128, 128)), Range())
    usual = decision.choices(backbone.describe((224, 224)), Range())
    assert not isinstance(small, NotApplicable)
    assert not isinstance(usual, NotApplicable)
    assert "features.0" in small.names
    assert "features.0" not in usual.names
    random = backbone.pretrained("none", (128, 128)).chain
    assert decision.choices(random, Range()) == usual


def test_the_stem_is_the_first_reduction_if_it_may_be_switched_off() -> None:
    backbone = backbones.resolve("resnet18")
    for side, expected in ((112, Strides(("conv1",))), (224, None)):
        chain = backbone.describe((side, side))
        choices = decision.choices(chain, Range())
        assert not isinstance(choices, NotApplicable)
        assert decision.meant("stem", chain, choices) == expected


def test_dilation_follows_when_asked(tiny: Pretrained) -> None:
    changed = decision.apply(tiny.chain, Strides(("0",), dilated=True))
    assert "dilated" in changed.units[1].edits
    assert changed.units[1].module.get_submodule("1.conv").dilation == (2, 2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", ["conv1", "maxpool", "layer2.0", "layer3.0", "layer4.0"]),
        ("mobilenet_v2", ["features.0", "features.2", "features.4", "features.7", "features.14"]),
        ("alexnet", ["features.0", "features.2", "features.3", "features.10"]),
        ("convnext_tiny", ["features.2", "features.4", "features.6"]),
        ("inception_v3", ["Conv2d_1a_3x3", "Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_6a", "Mixed_7a"]),
        ("vit_b_32", []),
    ],
)
def test_reductions_are_found_one_by_one(name: str, expected: list[str]) -> None:
    assert [found.name for found in reductions(backbones.resolve(name).describe((224, 224)))] == expected


@pytest.mark.parametrize(
    "name", ["resnet18", "alexnet", "convnext_tiny", "inception_v3", "densenet121", "shufflenet_v2_x0_5"]
)
def test_every_reduction_switched_off_doubles_its_map(name: str) -> None:
    chain = backbones.resolve(name).describe((224, 224))
    before = probe.describe(chain)
    choices = decision.choices(chain, Range(max_growth=100.0))
    left_out = {found.name for found in reductions(chain)} - set(choices.names)
    assert left_out == ({"Mixed_6a", "Mixed_7a"} if name == "inception_v3" else set())  # a pool by function call
    for reduction in (found for found in reductions(chain) if found.name in choices.names):
        after = probe.describe(decision.apply(chain, Strides((reduction.name,))))
        old, new = (max(facts[reduction.place].out_shape[1:]) for facts in (before, after))
        assert abs(new - 2 * old) <= 3, reduction


def test_several_reductions_of_one_unit_go_together() -> None:
    chain = backbones.resolve("resnet18").describe((64, 64))
    changed = decision.apply(chain, Strides(("conv1", "maxpool")))
    assert probe.describe(changed)[0].out_shape == (64, 64, 64)


def test_dilation_reaches_the_kernels_after_the_stride_and_no_others() -> None:
    chain = backbones.resolve("resnet18").describe((64, 64))
    changed = decision.apply(chain, Strides(("layer3.0", "layer4.0"), dilated=True))
    dilations = {conv.path: conv.dilation[0] for unit in changed for conv in probe.convolutions(unit.module)}
    assert dilations["layer2.1.conv2"] == 1
    assert (dilations["layer3.0.conv1"], dilations["layer3.0.conv2"]) == (1, 2)
    assert dilations["layer3.1.conv1"] == 2
    assert (dilations["layer4.0.conv1"], dilations["layer4.0.conv2"]) == (2, 4)
    assert probe.output_shape(changed) == (512, 8, 8)


def test_unknown_reductions_are_refused_with_the_known_ones(tiny: Pretrained) -> None:
    with pytest.raises(CandidateError, match=r"no reduction 'x' here; there are 0, 3\.0"):
        decision.apply(tiny.chain, Strides(("x",)))


def test_a_network_without_strides_says_so() -> None:
    found = decision.choices(backbones.resolve("vit_b_32").describe((64, 64)), Range())
    assert isinstance(found, NotApplicable)
    assert "no strided convolution" in found.reason
