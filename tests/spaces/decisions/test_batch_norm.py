from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spaces import heads
from spaces.backbones._base import Pretrained
from spaces.candidate import Candidate
from spaces.decisions._base import NotApplicable
from spaces.decisions.batch_norm import AUTO, FROZEN, MOVING, Range, decision
from spaces.errors import CandidateError
from spaces.networks.build import Network, build
from spaces.networks.space import Space


@pytest.fixture
def seen(tiny: Pretrained) -> Pretrained:
    """The tiny network with statistics of data."""
    for unit in tiny.chain:
        for layer in unit.module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.uniform_(layer.running_mean, -0.1, 0.1)
    return tiny


def network_of(pretrained: Pretrained, statistics: str, optimizer: str = "sgd", **structure: Any) -> Network:
    space = Space(pretrained, {}, "classification")
    plain = space.baseline().to_json()
    plain["structure"]["choices"] |= structure
    plain["recipe"]["choices"]["batch_norm"] = statistics
    plain["recipe"]["choices"]["optimizer"]["name"] = optimizer
    candidate = Candidate.from_json(plain)
    return build(
        space.apply(candidate), space.values(candidate), lambda found, choice, _: heads.vector_head(found, 3, choice), 0
    )


def statistics(network: Network) -> list[Tensor]:
    return [layer.running_mean.clone() for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]


def step(network: Network) -> None:
    network.train()
    network(torch.randn(6, 3, 16, 16) + 2).square().sum().backward()


def test_frozen_statistics_stay_and_their_scales_learn(seen: Pretrained) -> None:
    network = network_of(seen, FROZEN)
    before = statistics(network)
    step(network)
    assert all(torch.equal(old, new) for old, new in zip(before, statistics(network), strict=True))
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert all(layer.weight.grad is not None and bool(layer.weight.grad.any()) for layer in norms)


def test_moving_statistics_move(seen: Pretrained) -> None:
    network = network_of(seen, MOVING)
    before = statistics(network)
    step(network)
    assert not any(torch.equal(old, new) for old, new in zip(before, statistics(network), strict=True))


@pytest.mark.parametrize(("optimizer", "moves"), [("sgd", True), ("adamw", False)])
def test_by_default_statistics_move_under_sgd_and_are_frozen_under_adamw(
    seen: Pretrained, optimizer: str, moves: bool
) -> None:
    network = network_of(seen, AUTO, optimizer=optimizer)
    before = statistics(network)
    step(network)
    assert [not torch.equal(old, new) for old, new in zip(before, statistics(network), strict=True)] == [moves] * 3


def test_a_network_with_frozen_statistics_trains_on_the_function_that_validation_sees(seen: Pretrained) -> None:
    network, images = network_of(seen, FROZEN), torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(network.train()(images), network.eval()(images))


def test_statistics_without_data_move_whatever_is_asked(tiny: Pretrained, seen: Pretrained) -> None:
    fresh = network_of(seen, FROZEN, insert={"where": "all", "kind": "conv", "width": 2})
    new = [layer for layer in fresh.modules() if isinstance(layer, nn.BatchNorm2d) and not layer.running_mean.any()]
    step(fresh)
    assert all(bool(layer.running_mean.any()) for layer in new)


def test_a_network_from_scratch_learns_its_statistics(tiny: Pretrained) -> None:
    network = network_of(tiny, FROZEN)
    step(network)
    assert all(bool(mean.any()) for mean in statistics(network))


def test_it_does_not_apply_without_batch_norm(tiny: Pretrained) -> None:
    chain = tiny.chain
    bare = replace(chain, units=tuple(replace(unit, module=nn.Identity()) for unit in chain))
    assert isinstance(decision.choices(bare, Range()), NotApplicable)


def test_where_nothing_learns_it_is_frozen_and_not_asked_for(tiny: Pretrained) -> None:
    space = Space(tiny, {"batch_norm": Range()}, "classification")
    plain = space.baseline().to_json()
    plain["structure"]["choices"]["freeze"] = 4
    chain = space.apply(Candidate.from_json(plain))
    assert decision.settle(MOVING, chain) == AUTO
    assert decision.settle(MOVING, tiny.chain) == MOVING
    assert decision.narrow((FROZEN, MOVING), chain) is None


def test_it_is_described_and_faults_are_refused(tiny: Pretrained) -> None:
    assert decision.words(MOVING, tiny.chain) == "moving batch-norm statistics"
    assert decision.words(AUTO, tiny.chain) == ""
    with pytest.raises(ValueError, match="expected one of auto, frozen, moving"):
        Range(statistics=("none",))
    with pytest.raises(CandidateError, match="batch_norm must be one of auto, frozen, moving"):
        decision.parse("none")
