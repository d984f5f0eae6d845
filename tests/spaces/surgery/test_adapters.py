from __future__ import annotations

import pytest
import torch
from torch import nn

from spaces.backbones._base import Pretrained
from spaces.errors import SurgeryError
from spaces.surgery import adapters


@pytest.mark.parametrize(
    ("kind", "is_map", "shape"),
    [
        ("adapter", True, (2, 6, 5, 5)),
        ("conv", True, (2, 6, 5, 5)),
        ("adapter", False, (2, 7, 6)),
        ("adapter", False, (2, 6)),
    ],
)
def test_a_new_block_is_the_identity_and_can_learn(kind: str, is_map: bool, shape: tuple[int, ...]) -> None:
    block = adapters.block(kind, 6, 3, is_map=is_map)
    x = torch.randn(shape)
    torch.testing.assert_close(block(x), x, rtol=0, atol=0)
    block(x).square().sum().backward()
    assert block.up.weight.grad is not None
    assert block.up.weight.grad.abs().sum() > 0


def test_what_follows_the_channels_passes_unchanged() -> None:
    block = adapters.block("adapter", 6, 3, is_map=False)
    nn.init.ones_(block.up.bias)
    x = torch.randn(2, 4, 7)
    after = block(x)
    assert torch.equal(after[..., 6], x[..., 6])
    torch.testing.assert_close(after[..., :6], x[..., :6] + 1)


def test_a_convolution_needs_maps() -> None:
    with pytest.raises(SurgeryError, match="needs feature maps"):
        adapters.block("conv", 6, 3, is_map=False)


def test_only_units_of_a_chain_are_extended() -> None:
    with pytest.raises(SurgeryError, match="only units of a chain"):
        adapters.append(nn.Linear(2, 2), "more", nn.Identity())


def test_appending_shares_the_weights_and_leaves_the_unit_alone(tiny: Pretrained) -> None:
    unit = tiny.chain.units[1].module
    names = set(unit.state_dict())
    longer = adapters.append(unit, "more", nn.Conv2d(8, 4, 1))
    assert set(unit.state_dict()) == names
    assert set(longer.state_dict()) == names | {"more.weight", "more.bias"}
    assert next(longer.parameters()) is next(unit.parameters())
    assert longer(torch.randn(1, 8, 4, 4)).shape == (1, 4, 4, 4)


def test_numbers_depend_on_the_seed_alone() -> None:
    first, second, third = (torch.empty(4, 6) for _ in range(3))
    adapters.draw(first, "a")
    torch.manual_seed(5)
    adapters.draw(second, "a")
    adapters.draw(third, "b")
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert first.abs().max() <= 6**-0.5
