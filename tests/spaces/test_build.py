from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spaces import backbones, build, heads
from spaces.backbones._base import Pretrained
from spaces.candidate import Candidate
from spaces.decisions.dropout import Range as DropoutRange
from spaces.decisions.penalty import Penalty
from spaces.space import Random, Space, registry


def head(features: heads.Features, choice: heads.HeadChoice) -> nn.Module:
    return heads.vector_head(features, 5, choice)


def built(space: Space, candidate: Candidate, seed: int) -> build.Network:
    return build.build(space.apply(candidate), space.values(candidate), head, seed)


@cache
def space_of(name: str) -> Space:
    pretrained = backbones.resolve(name).pretrained("none", (64, 64))
    for unit in pretrained.chain:
        unit.module.requires_grad_(False)
    ranges = {name: decision.options() for name, decision in registry().items()}
    return Space(pretrained, ranges | {"dropout": DropoutRange(head=0.5, depth=0.3)})


@settings(max_examples=24, deadline=None)
@given(name=st.sampled_from(["mobilenet_v2", "resnet18", "swin_t", "vit_b_32"]), seed=st.integers(0, 10**6))
def test_random_candidates_build_and_only_what_should_move_moves(name: str, seed: int) -> None:
    space = space_of(name)
    candidate = space.sample(Random(seed))
    network = built(space, candidate, seed)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    learning = {key for key, parameter in network.named_parameters() if parameter.requires_grad}
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    torch.manual_seed(0)
    output = network.train()(torch.randn(4, 3, 64, 64))
    assert output.shape == (4, 5)
    nn.functional.cross_entropy(output, torch.tensor([0, 1, 2, 3])).backward()
    optimizer.step()
    frozen = {f"units.{index}." for index in range(network.prefix_units)}
    for key, value in network.state_dict().items():
        if key.startswith(tuple(frozen)):
            assert key not in learning
            assert torch.equal(value, before[key]), f"{key} is frozen and moved"
    assert any(not torch.equal(value, before[key]) for key, value in network.state_dict().items() if key in learning)


@pytest.fixture
def space(tiny: Pretrained) -> Space:
    return Space(tiny, {name: decision.options() for name, decision in registry().items()})


def changed(space: Space, **choices: object) -> Candidate:
    plain = space.baseline()
    return Candidate(replace(plain.structure, choices={**plain.structure.choices, **choices}), plain.recipe)


def test_building_twice_gives_equal_networks(space: Space) -> None:
    for seed in range(5):
        candidate = Candidate.from_json(space.sample(Random(seed)).to_json())
        first, second = (built(space, candidate, 7).eval() for _ in range(2))
        images = torch.randn(2, 3, 16, 16)
        torch.testing.assert_close(first(images), second(images), rtol=0, atol=0)


def test_training_one_candidate_leaves_the_pretrained_chain_alone(space: Space) -> None:
    before = {name: value.clone() for name, value in space.chain.state_dict().items()}
    network = built(space, space.baseline(), 0).train()
    network(torch.randn(4, 3, 16, 16)).sum().backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    for name, value in space.chain.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_batch_norm_of_frozen_units_never_moves(space: Space) -> None:
    network = built(space, changed(space, freeze=2), 0).train()
    statistics = {key: value.clone() for key, value in network.state_dict().items() if "running" in key}
    network(10 + torch.randn(8, 3, 16, 16))
    moved = {
        key
        for key, value in network.state_dict().items()
        if "running" in key and not torch.equal(value, statistics[key])
    }
    assert moved
    assert not any(key.startswith(("units.0.", "units.1.")) for key in moved)


def test_prefix_and_suffix_are_the_whole_network(space: Space) -> None:
    network = built(space, changed(space, freeze=3), 0).eval()
    images = torch.randn(2, 3, 16, 16)
    assert network.prefix_units == 3
    torch.testing.assert_close(network.suffix(network.prefix(images)), network(images))
    assert not network.prefix(images.requires_grad_()).requires_grad


def test_sizes_count_what_is_there(space: Space) -> None:
    network = built(space, changed(space, freeze=1, tail=1), 0)
    size = build.size(network)
    assert size.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert size.trained == sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    assert size.unit_states == ("frozen", "trained", "trained", "dropped")
    assert size.flops > 2 * 8 * 5


def test_groups_hold_every_learning_parameter_once(space: Space) -> None:
    network = built(space, changed(space, freeze=1), 0)
    groups = network.groups()
    listed = [id(parameter) for group in groups for parameter in group.parameters]
    assert sorted(listed) == sorted(id(parameter) for parameter in network.parameters() if parameter.requires_grad)
    assert [(group.name, group.behind) for group in groups] == [
        ("head", 0),
        ("backbone", 0),
        ("backbone", 1),
        ("backbone", 2),
    ]


def test_original_names_come_back(space: Space) -> None:
    network = built(space, space.baseline(), 0)
    names = {name for name in network.original_state() if not name.startswith("head.")}
    assert names <= set(space.chain.state_dict())


def test_stochastic_depth_keeps_the_mean_and_is_off_in_eval(tiny: Pretrained) -> None:
    space = Space(tiny, {"dropout": DropoutRange(head=0.0, depth=0.9)})
    network = built(space, changed(space, dropout={"head": 0.0, "depth": 0.6}), 0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    images = torch.randn(1, 3, 16, 16).repeat(256, 1, 1, 1)
    torch.manual_seed(0)
    network.training = True
    random = network(images)
    assert random.std(dim=0).max() > 0
    network.eval()
    torch.testing.assert_close(network(images)[:1], network(images[:1]))


@pytest.mark.parametrize(
    ("kind", "expected"), [("l1", lambda w: w.abs().sum()), ("l2", lambda w: w.square().sum() / 2)]
)
def test_penalties_are_what_the_literature_writes(space: Space, kind: str, expected: object) -> None:
    network = built(space, space.baseline(), 0)
    weights = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    wanted = 0.01 * sum(expected(weight) for weight in weights)  # type: ignore[operator]
    found = build.penalties(network, Penalty(kind, 0.01))()[kind]
    torch.testing.assert_close(found, wanted)


def test_l2_sp_is_zero_for_the_backbone_at_the_start(space: Space) -> None:
    network = built(space, space.baseline(), 0)
    own = [parameter for parameter in network.head.parameters() if parameter.ndim > 1]
    found = build.penalties(network, Penalty("l2_sp", 1.0))()["l2_sp"]
    torch.testing.assert_close(found, sum(weight.square().sum() for weight in own) / 2)


def test_norms_and_biases_are_spared_unless_asked(space: Space) -> None:
    network = built(space, space.baseline(), 0)
    spared = build.penalised(network, everything=False)
    assert all(parameter.ndim > 1 for parameter in spared)
    assert len(build.penalised(network, everything=True)) > len(spared)
