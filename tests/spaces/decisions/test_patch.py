from __future__ import annotations

import pytest
import torch

from spaces import backbones
from spaces.backbones._base import Pretrained
from spaces.chains import probe
from spaces.decisions._base import NotApplicable
from spaces.decisions.patch import Range, decision
from spaces.errors import CandidateError


def test_patches_change_the_number_of_tokens() -> None:
    chain = backbones.resolve("vit_b_32").pretrained("none", (64, 96)).chain
    assert decision.choices(chain, Range(max_growth=20.0)) == (0, 8, 16)
    changed = decision.apply(chain, 16)
    assert changed.forward(torch.randn(1, 3, 64, 96)).shape == (1, 1 + 4 * 6, 768)
    assert chain.forward(torch.randn(1, 3, 64, 96)).shape == (1, 1 + 2 * 3, 768)


@pytest.mark.parametrize("name", ["swin_t", "convnext_tiny"])
def test_other_networks_that_begin_with_patches_have_it_too(name: str) -> None:
    chain = backbones.resolve(name).describe((64, 64))
    assert decision.choices(chain, Range(sizes=(2, 8))) == (0, 2, 8)
    before, after = (probe.output_shape(each) for each in (chain, decision.apply(chain, 8)))
    assert max(before[:2]) >= max(after[:2])


def test_growth_is_limited() -> None:
    chain = backbones.resolve("vit_b_32").describe((64, 64))
    found = decision.choices(chain, Range(sizes=(4,)))
    assert isinstance(found, NotApplicable)
    assert "max_growth" in found.reason


def test_small_images_may_cost_as_much_as_those_of_the_pretraining() -> None:
    described = backbones.resolve("vit_b_32").describe
    assert decision.choices(described((96, 96)), Range(sizes=(16,))) == (0, 16)
    assert isinstance(decision.choices(described((224, 224)), Range(sizes=(16,))), NotApplicable)


def test_networks_without_patches_have_no_such_choice(tiny: Pretrained) -> None:
    assert isinstance(decision.choices(tiny.chain, Range()), NotApplicable)
    with pytest.raises(CandidateError, match="does not begin with a patch embedding"):
        decision.apply(tiny.chain, 8)
