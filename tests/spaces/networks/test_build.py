from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spaces import backbones, heads
from spaces.backbones._base import Preprocessing, Pretrained
from spaces.candidate import Candidate
from spaces.chains.chain import Trainable, Unit
from spaces.decisions import registry
from spaces.decisions._stages import stages
from spaces.decisions.dropout import Range as DropoutRange
from spaces.decisions.penalty import Penalty
from spaces.networks import build
from spaces.networks.space import Random, Space

QUICK = ("resnet18", "mobilenet_v3_small", "swin_t", "timm:test_vit", "timm:test_convnext")
OTHERS = [
    *("densenet121", "efficientnet_b0", "googlenet", "mnasnet0_5", "mobilenet_v3_large", "regnet_y_400mf"),
    *("shufflenet_v2_x0_5", "squeezenet1_1", "swin_v2_t", "resnext50_32x4d", "vit_b_16", "convnext_small"),
    *("mobilenet_v2", "vit_b_32", "convnext_tiny"),
]


def head(features: heads.Features, choice: heads.HeadChoice, _: object = None) -> nn.Module:
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


def should_learn(space: Space, candidate: Candidate, network: build.Network) -> set[str]:
    """Return the names of the parameters that the candidate says learn, read from its JSON alone."""
    choices = candidate.structure.choices
    pattern = choices["pattern"]
    names: set[str] = {f"head.{name}" for name, _ in network.head.named_parameters()}
    for place, (unit, module) in enumerate(zip(network.chain, network.units, strict=True)):
        norms = {path for path, layer in module.named_modules() if "Norm" in type(layer).__name__}
        for name, _ in module.named_parameters():
            owner, _, own = name.rpartition(".")
            learns = {
                "all": True,
                "head": False,
                "norm": owner in norms,
                "bias": own == "bias",
                "stage": unit.name in stages(space.chain).get(pattern["stage"], ()),
            }[pattern["kind"]]
            learns = learns and place >= choices["freeze"]
            added = "inserted_" in name or (".parametrizations." in f".{name}" and own in ("up", "down"))
            if added or (learns and own != "original"):
                names.add(f"units.{place}.{name}")
    return names


@pytest.mark.parametrize("name", QUICK)
@settings(max_examples=1, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_random_candidates_build_and_only_what_should_move_moves(name: str, seed: int) -> None:
    check_candidate(space_of(name), seed)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from([*QUICK, *OTHERS]), seed=st.integers(0, 10**6))
def test_many_random_candidates_of_many_backbones_do_too(name: str, seed: int) -> None:
    check_candidate(space_of(name), seed)


def check_candidate(space: Space, seed: int) -> None:
    candidate = Candidate.from_json(json.loads(json.dumps(space.sample(Random(seed)).to_json())))
    network = built(space, candidate, seed)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    learning = {key for key, parameter in network.named_parameters() if parameter.requires_grad}
    assert learning == should_learn(space, candidate, network)
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    torch.manual_seed(0)
    output = network.train()(torch.randn(4, 3, *candidate.structure.input_size))
    assert output.shape == (4, 5)
    nn.functional.cross_entropy(output, torch.tensor([0, 1, 2, 3])).backward()
    optimizer.step()
    parameters = {key for key, _ in network.named_parameters()}
    still = tuple(f"units.{index}." for index, unit in enumerate(network.chain) if unit.trainable is Trainable.NONE)
    moved = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert moved & parameters <= learning
    assert any(key.startswith("head.") for key in moved)
    assert not any(key.startswith(still) for key in moved - parameters), "statistics of a frozen unit moved"


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


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "trained"),
        ({"trainable": Trainable.NONE}, "frozen"),
        ({"trainable": Trainable.NORM}, "adapted"),
        ({"trainable": Trainable.NONE, "extra": ("adapter",), "edits": ("adapter of 8",)}, "adapted: adapter of 8"),
        ({"edits": ("5x5 kernel", "stride 1")}, "trained: 5x5 kernel, stride 1"),
        ({"trainable": Trainable.NONE, "edits": ("stride 1",)}, "frozen: stride 1"),
        ({"skipped": True}, "skipped"),
    ],
)
def test_a_units_state_says_what_learns_and_what_was_edited(changes: dict[str, Any], state: str) -> None:
    assert build.unit_state(Unit("unit", nn.Identity(), **changes)) == state


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


def test_gradients_reach_the_units_in_the_layout_of_their_outputs(tiny: Pretrained) -> None:
    space = Space(tiny, {})
    network = built(space, space.baseline(), 0).to(memory_format=torch.channels_last)
    seen: list[torch.Tensor] = []
    last = list(network.units)[-1]
    last.register_full_backward_hook(lambda module, inward, outward: seen.append(outward[0]))
    images = torch.randn(2, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    network(images).sum().backward()
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    assert not seen[0].is_contiguous()


def test_layers_that_share_their_weights_go_on_sharing_them() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.AlbertConfig(
        hidden_size=32,
        embedding_size=16,
        num_attention_heads=2,
        intermediate_size=64,
        num_hidden_layers=4,
        vocab_size=50,
    )
    from spaces.backbones._base import _cut

    chain = _cut(transformers.AlbertModel(config).eval(), (1, 8))
    for unit in chain:
        unit.module.requires_grad_(False)
    pretrained = Pretrained("test:albert", "ALBERT", "none", "", Preprocessing(), chain)
    space = Space(pretrained, {})
    network = built(space, space.baseline(), 0).train()
    groups = network.groups()
    ids = [id(parameter) for group in groups for parameter in group.parameters]
    assert len(ids) == len(set(ids))
    assert len([group for group in groups if group.name == "backbone"]) < len(chain)
    network(torch.randint(2, 50, (4, 8))).sum().backward()
    half = built(space, changed(space, freeze=3), 0)
    assert half.prefix_units == 3
    assert not any(parameter.requires_grad for unit in half.units[:3] for parameter in unit.parameters())
    assert all(parameter.requires_grad for parameter in half.units[3].parameters())
