from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import nn
from torchvision.models import SwinTransformer, VisionTransformer

from spaces import backbones, heads
from spaces.backbones._base import Preprocessing, Pretrained
from spaces.chains import chain as chains
from spaces.decisions.insert import Inserted
from spaces.decisions.lora import Range, Updates, decision
from spaces.errors import CandidateError
from spaces.networks import build
from spaces.networks.space import Space
from spaces.surgery import low_rank

SMALL: dict[str, Callable[[int], nn.Module]] = {
    "vit": lambda side: VisionTransformer(side, 16, num_layers=2, num_heads=2, hidden_dim=48, mlp_dim=96),
    "swin": lambda _: SwinTransformer([4, 4], 48, [1, 1, 2], [2, 2, 4], [7, 7]),
}
"""torchvision's two kinds of attention in networks of a few units."""


@cache
def pretrained(name: str, side: int) -> Pretrained:
    if name in SMALL:
        torch.manual_seed(0)
        chain = chains.cut(SMALL[name](side).eval(), (side, side))
        found = Pretrained(f"test:{name}", name, "random", "", Preprocessing(), chain)
    else:
        found = backbones.resolve(name).pretrained("none", (side, side))
    for unit in found.chain:
        unit.module.requires_grad_(False)
    return found


def network_of(space: Space, **chosen: object) -> build.Network:
    values = {**space.values(space.baseline()), **chosen}
    return build.build(
        space._apply(values), values, lambda features, choice, _: heads.vector_head(features, 3, choice), 0
    ).train()


@pytest.mark.parametrize(("name", "side"), [("mobilenet_v3_small", 64), ("vit", 64), ("swin", 64)])
def test_updates_start_as_nothing_then_learn_and_merge(name: str, side: int) -> None:
    space = Space(pretrained(name, side), {})
    images = torch.randn(4, 3, side, side)
    network = network_of(space, lora=Updates("all", 4, 2.0), freeze=len(space.chain))
    assert network.prefix_units < len(space.chain)
    torch.testing.assert_close(network.eval().chain.forward(images), space.chain.forward(images), rtol=1e-5, atol=1e-5)
    network.train()
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.5)
    before = {key: value.clone() for key, value in network.named_parameters()}
    nn.functional.cross_entropy(network(images), torch.tensor([0, 1, 2, 0])).backward()
    optimizer.step()
    moved = {key for key, value in network.named_parameters() if not torch.equal(value, before[key])}
    assert moved
    assert all(key.endswith(".up") or key.startswith("head.") for key in moved)
    expected = network.eval()(images)
    plain = network_of(space).eval()
    state = network.original_state()
    for module in plain.units:
        module.load_state_dict({key: state[key] for key in module.state_dict()})
    plain.head.load_state_dict(network.head.state_dict())
    torch.testing.assert_close(plain(images), expected, rtol=1e-4, atol=1e-4)


def test_adapted_weights_do_not_learn_in_trained_units_either(tiny: Pretrained) -> None:
    space = Space(pretrained("mobilenet_v3_small", 64), {})
    network = network_of(space, lora=Updates("all", 4, 1.0))
    originals = [p for name, p in network.named_parameters() if name.endswith(".original")]
    assert originals
    assert not any(parameter.requires_grad for parameter in originals)
    assert sum(parameter.requires_grad for parameter in network.parameters()) > len(originals)


def test_inserted_blocks_get_no_update() -> None:
    space = Space(pretrained("vit", 64), {})
    network = network_of(space, lora=Updates("all", 4, 1.0), insert=Inserted("all", "adapter", 16))
    assert not any("inserted" in name and "parametrizations" in name for name, _ in network.named_parameters())


def test_only_stages_with_fitting_layers_are_offered(tiny: Pretrained) -> None:
    found = decision.choices(tiny.chain, Range(ranks=(64,)))
    assert "rank 64" in found.reason
    chain = backbones.resolve("resnet18").describe((64, 64))
    assert "all" in decision.choices(chain, Range()).places


@pytest.mark.parametrize("data", [{"where": "all", "rank": 0, "scale": 1.0}, {"where": "all", "rank": 4, "scale": "x"}])
def test_updates_without_rank_or_scale_are_refused(data: object) -> None:
    with pytest.raises(CandidateError, match=r"lora\.(rank|scale)"):
        decision.parse(data)


def test_the_merged_state_has_the_pretrained_names() -> None:
    space = Space(pretrained("vit", 64), {})
    network = network_of(space, lora=Updates("all", 4, 1.0))
    names = {name for module in network.units for name in low_rank.merged_state(module)}
    assert names == {name for unit in space.chain for name in unit.module.state_dict()}
