from __future__ import annotations

import pytest
import torch

from spaces import backbones, heads
from spaces.backbones._base import Pretrained
from spaces.decisions.insert import Inserted, Range, decision
from spaces.errors import CandidateError
from spaces.networks import build
from spaces.networks.space import Space


@pytest.mark.parametrize(
    "value", [Inserted("all", "adapter", 4), Inserted("0", "conv", 4), Inserted("3.0", "adapter", 2)]
)
def test_inserted_blocks_start_as_the_same_function(tiny: Pretrained, value: Inserted) -> None:
    images = torch.randn(2, 3, 16, 16)
    changed = decision.apply(tiny.chain, value)
    torch.testing.assert_close(changed.forward(images), tiny.chain.forward(images), rtol=0, atol=0)
    assert any(unit.extra for unit in changed)


@pytest.mark.parametrize("name", ["vit_b_32", "swin_t"])
def test_tokens_get_adapters_and_no_convolutions(name: str) -> None:
    chain = backbones.resolve(name).describe((64, 64))
    choices = decision.choices(chain, Range())
    assert choices.kinds == ("adapter",)
    changed = decision.apply(chain, Inserted("all", "adapter", 8))
    assert all(unit.extra for unit in changed)
    assert (
        changed.forward(torch.empty(1, 3, 64, 64, device="meta")).shape
        == chain.forward(torch.empty(1, 3, 64, 64, device="meta")).shape
    )


def test_blocks_in_frozen_units_learn_and_nothing_else_does(tiny: Pretrained) -> None:
    space = Space(tiny, {})
    plain = space.baseline()
    values = {**space.values(plain), "freeze": 4, "insert": Inserted("0", "adapter", 4)}
    chain = space._apply(values)
    network = build.build(chain, values, lambda features, choice, _: heads.vector_head(features, 3, choice), 0).train()
    assert network.prefix_units == 0
    learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert learning == {
        name for name, _ in network.named_parameters() if "inserted" in name or name.startswith("head.")
    }
    before = {name: value.clone() for name, value in network.state_dict().items() if "running" in name}
    network(torch.randn(4, 3, 16, 16)).sum().backward()
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())


def test_names_of_inserted_blocks_name_their_unit(tiny: Pretrained) -> None:
    changed = decision.apply(tiny.chain, Inserted("all", "adapter", 2))
    extras = [name for unit in changed for name in unit.extra]
    assert extras == ["inserted_0", "inserted_1", "inserted_2", "inserted_3_0"]


def test_a_place_that_is_left_out_settles_to_nothing(tiny: Pretrained) -> None:
    from spaces.decisions import tail

    shorter = tail.decision.apply(Space(tiny, {}).chain, 1)
    assert decision.settle(Inserted("3.0", "adapter", 2), shorter) == Inserted()


@pytest.mark.parametrize(
    "data", [{"where": "all", "kind": "magic", "width": 4}, {"where": "all", "kind": "conv", "width": 0}]
)
def test_blocks_of_no_kind_or_width_are_refused(data: object) -> None:
    with pytest.raises(CandidateError, match=r"insert\.(kind|width)"):
        decision.parse(data)
