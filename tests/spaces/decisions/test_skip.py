from __future__ import annotations

import pytest
import torch

from spaces import backbones
from spaces.backbones._base import Pretrained
from spaces.decisions._base import NotApplicable
from spaces.decisions.skip import Range, decision
from spaces.errors import CandidateError


def test_residual_blocks_that_keep_the_shape_are_offered(tiny: Pretrained) -> None:
    assert decision.choices(tiny.chain, Range()).units == ("1", "2")


def test_a_skipped_block_is_the_identity_and_the_rest_stays(tiny: Pretrained) -> None:
    changed = decision.apply(tiny.chain, ("2",))
    images = torch.randn(2, 3, 16, 16)
    expected = images
    for unit in (tiny.chain.units[0], tiny.chain.units[1], tiny.chain.units[3]):
        expected = unit.module(expected)
    torch.testing.assert_close(changed.forward(images), expected)
    assert [unit.skipped for unit in changed] == [False, False, True, False]


def test_a_network_without_such_blocks_says_so() -> None:
    found = decision.choices(backbones.resolve("vgg11").describe((64, 64)), Range())
    assert isinstance(found, NotApplicable)
    assert "no residual block" in found.reason


def test_an_unknown_block_is_refused(tiny: Pretrained) -> None:
    with pytest.raises(CandidateError, match="no unit 'layer9'"):
        decision.apply(tiny.chain, ("layer9",))


def test_the_smallest_network_skips_the_heaviest_blocks(tiny: Pretrained) -> None:
    choices = decision.choices(tiny.chain, Range(blocks=1))
    smallest, largest = decision.extremes(choices, tiny.chain)
    assert len(smallest) == 1
    assert largest == ()
