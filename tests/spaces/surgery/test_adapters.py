from __future__ import annotations

import copy

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


def layers() -> nn.Module:
    torch.manual_seed(0)
    return nn.ModuleDict(
        {
            "linear": nn.Linear(12, 10),
            "point": nn.Conv2d(12, 10, 1),
            "wide": nn.Conv2d(12, 12, 3),
            "depth": nn.Conv2d(12, 12, 1, groups=12),
            "narrow": nn.Linear(12, 2),
            "attention": nn.MultiheadAttention(12, 2, batch_first=True),
        }
    )


def test_targets_are_matrices_that_become_smaller() -> None:
    assert set(adapters.low_rank_targets(layers(), 3)) == {
        ("linear", "weight"),
        ("point", "weight"),
        ("attention", "in_proj_weight"),
        ("attention.out_proj", "weight"),
    }


def updated(rank: int = 3) -> tuple[nn.Module, nn.Module]:
    plain = layers()
    changed, paths = adapters.with_low_rank(plain, adapters.low_rank_targets(plain, rank), rank, 2.0, "seed")
    assert all(isinstance(changed.get_submodule(path), adapters.LowRank) for path in paths)
    return plain, changed


def run(module: nn.Module) -> torch.Tensor:
    torch.manual_seed(1)
    x = torch.randn(2, 5, 12)
    attended, _ = module["attention"](x, x, x)  # type: ignore[index]  # a ModuleDict
    return torch.cat([module["linear"](x), attended], dim=-1)  # type: ignore[index]


def test_an_update_starts_as_nothing_and_reaches_attention_too() -> None:
    plain, changed = updated()
    torch.testing.assert_close(run(changed), run(plain), rtol=0, atol=0)
    with torch.no_grad():
        for name, parameter in changed.named_parameters():
            if name.endswith(".up"):
                parameter.normal_()
    assert (run(changed) - run(plain)).abs().max() > 0.1
    run(changed).sum().backward()
    grown = [
        name for name, parameter in changed.named_parameters() if name.endswith("down") and parameter.grad is not None
    ]
    assert any("in_proj_weight" in name for name in grown)


def test_merging_gives_plain_weights_and_the_same_function() -> None:
    plain, changed = updated()
    with torch.no_grad():
        for name, parameter in changed.named_parameters():
            if name.endswith(".up"):
                parameter.normal_()
    expected = run(changed)
    assert set(adapters.merged_state(changed)) == set(plain.state_dict())
    fresh = copy.deepcopy(plain)
    fresh.load_state_dict(adapters.merged_state(changed))
    torch.testing.assert_close(run(fresh), expected)


def test_the_weights_behind_updates_are_found() -> None:
    _, changed = updated()
    assert len(adapters.adapted(changed)) == 4
    assert len(adapters.adapted(layers())) == 0


def test_numbers_depend_on_the_seed_alone() -> None:
    first, second, third = (torch.empty(4, 6) for _ in range(3))
    adapters.draw(first, "a")
    torch.manual_seed(5)
    adapters.draw(second, "a")
    adapters.draw(third, "b")
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert first.abs().max() <= 6**-0.5
