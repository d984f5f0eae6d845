from __future__ import annotations

import copy

import torch
from torch import nn

from spaces.surgery import low_rank


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
    assert set(low_rank.low_rank_targets(layers(), 3)) == {
        ("linear", "weight"),
        ("point", "weight"),
        ("attention", "in_proj_weight"),
        ("attention.out_proj", "weight"),
    }


def updated(rank: int = 3) -> tuple[nn.Module, nn.Module]:
    plain = layers()
    changed, paths = low_rank.with_low_rank(plain, low_rank.low_rank_targets(plain, rank), rank, 2.0, "seed")
    assert all(isinstance(changed.get_submodule(path), low_rank.LowRank) for path in paths)
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
    assert set(low_rank.merged_state(changed)) == set(plain.state_dict())
    fresh = copy.deepcopy(plain)
    fresh.load_state_dict(low_rank.merged_state(changed))
    torch.testing.assert_close(run(fresh), expected)


def test_the_weights_under_updates_are_found() -> None:
    _, changed = updated()
    assert len(low_rank.adapted(changed)) == 4
    assert len(low_rank.adapted(layers())) == 0
