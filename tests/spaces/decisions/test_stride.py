from __future__ import annotations

import torch

from spaces.backbones._base import Pretrained
from spaces.decisions.stride import Range, Strides, decision


def test_a_reduction_switched_off_doubles_the_map(tiny: Pretrained) -> None:
    images = torch.randn(1, 3, 16, 16)
    plain = tiny.chain.forward(images).shape[-1]
    assert decision.apply(tiny.chain, Strides(("0",))).forward(images).shape[-1] == 2 * plain


def test_only_reductions_within_the_allowed_growth_are_offered(tiny: Pretrained) -> None:
    everything = decision.choices(tiny.chain, Range(max_growth=10.0))
    assert everything.units == ("0", "3.0")
    assert decision.choices(tiny.chain, Range(max_growth=2.0)).units == ("3.0",)


def test_dilation_follows_when_asked(tiny: Pretrained) -> None:
    changed = decision.apply(tiny.chain, Strides(("0",), dilated=True))
    assert "dilated" in changed.units[1].edits
    assert changed.units[1].module.get_submodule("1.conv").dilation == (2, 2)
