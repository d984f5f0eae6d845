"""Every classifier of torchvision keeps the promises of chain and decisions, at the smallest input it takes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
import torchvision
from torch import nn
from torchvision import models

from spaces import backbones, heads
from spaces.candidate import Candidate
from spaces.chains import probe
from spaces.decisions import insert, kernel, lora, registry, skip, stride, tail
from spaces.decisions._base import NotApplicable
from spaces.decisions.head import features_of
from spaces.errors import SpaceError
from spaces.networks import build
from spaces.networks.space import Random, Space

# One of each kind of block. Plain: AlexNet; squeeze and excitation: RegNet; the inverted residual: MobileNetV2.
TEN = (
    *("mobilenet_v2", "resnet18", "alexnet", "densenet121", "squeezenet1_1", "shufflenet_v2_x0_5"),
    *("regnet_y_400mf", "convnext_tiny", "swin_t", "vit_b_32"),
)
EVERY = tuple(models.list_models(module=torchvision.models))
SIDES = (32, 48, 64, 96, 128, 224)


def head(features: heads.Features, choice: heads.HeadChoice, _: object = None) -> nn.Module:
    return heads.vector_head(features, 3, choice)


def opened(name: str) -> Space:
    """Return the space of all decisions on ``name``, random weights, at the smallest of the usual sides it takes."""
    backbone = backbones.resolve(name)
    for side in SIDES:
        try:
            probe.describe(backbone.describe((side, side)))
        except SpaceError as error:
            reason = error
        else:
            break
    else:
        raise AssertionError(f"{name} takes none of {SIDES}: {reason}")
    found = backbone.pretrained("none", (side, side))
    for unit in found.chain:
        unit.module.requires_grad_(False)
    ranges = {name: decision.options() for name, decision in registry().items()}
    ranges["stride"] = stride.Range(max_growth=1000.0, dilate=True)
    return Space(found, ranges)


def changed(space: Space, **choices: Any) -> Candidate:
    plain = space.baseline()
    return Candidate(replace(plain.structure, choices={**plain.structure.choices, **choices}), plain.recipe)


def check_tails(space: Space) -> None:
    """A head fits after every unit that may end the chain, and learns there."""
    facts = probe.describe(space.chain)
    for drop in range(len(space.chain)):
        shorter = tail.decision.apply(space.chain, drop)
        assert probe.output_shape(shorter) == facts[len(facts) - drop - 1].out_shape
        if facts[len(facts) - drop - 1].can_end:
            features = features_of(shorter)
            top = head(features, heads.HeadChoice(next(iter(features.poolings), "avg")))
            assert top(torch.zeros(2, *features.shape)).shape == (2, 3)


def check_gradients(space: Space) -> None:
    """Behind half of the units frozen, the others and the head get gradients and nothing else does."""
    depth = len(space.chain) // 2
    candidate = changed(space, freeze=depth)
    network = build.build(space.apply(candidate), space.values(candidate), head, 0).train()
    network(torch.randn(2, 3, *space.chain.input_size)).square().mean().backward()
    for place, unit in enumerate(network.units):
        got = [parameter.grad is not None for parameter in unit.parameters()]
        assert all(got) if place >= depth else not any(got), space.chain.units[place].name
    assert all(parameter.grad is not None for parameter in network.head.parameters())


def check_function_kept(space: Space) -> None:
    """Larger kernels, inserted blocks and low-rank updates start as the pretrained function."""
    images = torch.randn(1, 3, *space.chain.input_size)
    values: list[tuple[Any, Any]] = [(insert.decision, insert.Inserted("all", "adapter", 4))]
    sizes = kernel.decision.choices(space.chain, kernel.Range(sizes=(5, 9)))
    if not isinstance(sizes, NotApplicable):
        larger = [((name.partition("@")[2], int(name.partition("@")[0])),) for name in sizes.changes]
        values += [(kernel.decision, value) for value in larger if kernel.decision.keeps_function(value, space.chain)]
        assert len(values) > 1
    if not isinstance(lora.decision.choices(space.chain, lora.Range()), NotApplicable):
        values.append((lora.decision, lora.Updates("all", 4)))
    with torch.no_grad():
        given, expected = [], []
        for unit in space.chain:
            given.append(images)
            images = unit.module(images)
            expected.append(images)
        for decision, value in values:
            # Unit by unit: equal units give an equal chain, and only those that changed need to be run again.
            for place, unit in enumerate(decision.apply(space.chain, value)):
                if unit is not space.chain.units[place]:
                    found = unit.module(given[place])
                    error = (found - expected[place]).abs().max()
                    assert error <= 1e-5 * expected[place].abs().max(), (decision.name, value, unit.name)


def check_strides(space: Space) -> None:
    """Every reduction that is offered doubles its unit's feature map, and what follows still runs, dilated too."""
    before = probe.describe(space.chain)
    choices = space.choices.get("stride")
    for reduction in stride.reductions(space.chain) if choices else ():
        if reduction.name in choices.names:
            for dilated in (False, True):
                after = probe.describe(stride.decision.apply(space.chain, stride.Strides((reduction.name,), dilated)))
                old, new = (max(facts[reduction.place].out_shape[-2:]) for facts in (before, after))
                assert abs(new - 2 * old) <= 3, reduction


def check_skips(space: Space) -> None:
    """A bypassed block leaves the shapes after it as they were."""
    choices = space.choices.get("skip")
    expected = probe.output_shape(space.chain)
    for name in choices.units if choices else ():
        assert probe.output_shape(skip.decision.apply(space.chain, (name,))) == expected


def check_candidates(space: Space, count: int) -> None:
    """Random candidates run, survive the way to JSON and back, and have words."""
    for seed in range(count):
        candidate = space.sample(Random(seed))
        twin = Candidate.from_json(json.loads(json.dumps(candidate.to_json())))
        assert twin == candidate
        assert twin.fingerprint == candidate.fingerprint
        space.check(twin)
        assert space.words(twin).startswith(space.pretrained.label)


def check(name: str, candidates: int) -> None:
    space = opened(name)
    check_tails(space)
    check_function_kept(space)
    check_strides(space)
    check_skips(space)
    check_candidates(space, candidates)
    check_gradients(space)


@pytest.mark.parametrize("name", TEN)
def test_ten_backbones_keep_every_promise(name: str) -> None:
    check(name, 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EVERY if name not in TEN])
def test_every_other_backbone_does_too(name: str) -> None:
    check(name, 4)


def test_there_are_eighty_of_them() -> None:
    assert len(EVERY) == 80
