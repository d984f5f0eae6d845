"""No value of a candidate is without effect: what is left after settling changes the network or what it learns.

The judge knows nothing of how decisions settle: it trains both networks for three steps in double precision.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from search.training.optimizers import optimize
from spaces import backbones, heads
from spaces.backbones._base import Preprocessing, Pretrained
from spaces.candidate import Candidate
from spaces.chains import chain as chains
from spaces.decisions import (
    dropout,
    head,
    kernel,
    lora,
    optimizer,
    patch,
    pattern,
    penalty,
    registry,
    resolution,
    skip,
    stride,
)
from spaces.networks import build
from spaces.networks.space import Random, Space

DATA_ONLY = {"augmentation", "batch_size", "epochs", "mixing", "pseudo", "head_start", "weight_average"}
"""Decisions about what the network is shown, and what is solved on that: their values say all there is."""
WIDE = {
    "dropout": dropout.Range(head=0.5, depth=0.5),
    "head": head.Range(pooling=("avg", "max", "avgmax", "cls", "mean"), activation=("relu", "gelu"), widths=(4, 8)),
    "kernel": kernel.Range(sizes=(1, 3, 5), stages=2),
    "lora": lora.Range(ranks=(1, 2), scales=(1.0, 2.0)),
    "optimizer": optimizer.Range(layer_decay=(0.4, 1.0)),
    "patch": patch.Range(sizes=(4, 8, 16), max_growth=8),
    "pattern": pattern.Range(),
    "penalty": penalty.Range(kinds=penalty.KINDS),
    "resolution": resolution.Range(scales=(0.5, 1.0, 2.0), multiple=16),
    "skip": skip.Range(blocks=2),
    "stride": stride.Range(reductions=2, dilate=True, max_growth=20),
}


class Residual(nn.Module):
    def __init__(self, channels: int, size: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, size, padding=size // 2)
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(x + self.norm(self.conv(x)))


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), nn.ReLU()),
        *(Residual(6), Residual(6)),
        nn.Sequential(nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2), nn.ReLU()),
        *(Residual(8, 1), Residual(8)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)),
    )


def classifier_of_two_layers() -> nn.Module:
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False), nn.GELU()),
        nn.Sequential(nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.GELU()),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 16), nn.GELU()),
        nn.Sequential(nn.Linear(16, 12), nn.GELU()),
        nn.Linear(12, 5),
    )


def transformer() -> nn.Module:
    return VisionTransformer(32, 8, num_layers=3, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=5)


NETWORKS = {
    make.__name__: (make, size)
    for make, size in ((convolutional, 16), (classifier_of_two_layers, 16), (transformer, 32))
}


@cache
def space_of(name: str) -> Space:
    torch.manual_seed(0)
    if name in NETWORKS:
        make, side = NETWORKS[name]
        chain = chains.cut(make().eval(), (side, side))
        found = Pretrained(f"test:{name}", name, "random", "", Preprocessing(), chain)
    else:
        found = backbones.resolve(name).pretrained("none", (32, 32))
    for unit in found.chain:
        unit.module.requires_grad_(False)
    ranges = {key: WIDE.get(key, decision.options()) for key, decision in registry("classification").items()}
    del ranges["batch_norm"]  # `auto` is one of the others, by the optimiser
    return Space(found, ranges, "classification")


Learnt = tuple[dict[str, tuple[int, ...]], tuple[Tensor, ...]]


@cache
def learnt(name: str, fingerprint: str) -> Learnt:
    """Return the parameters that learn, what the network computes before and after three steps, and their losses."""
    space, candidate = space_of(name), CANDIDATES[fingerprint]
    values = space.values(candidate)
    network = build.build(space.apply(candidate), values, lambda *given: heads.vector_head(given[0], 3, given[1]), 0)
    network = deepcopy(network).double()  # frozen units are the chain's own
    step, schedule = optimize(network, values["optimizer"], values["penalty"], 4)
    terms = build.penalties(network, values["penalty"])
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(4, 3, *candidate.structure.input_size, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 1])
    outputs = [network.eval()(images).detach()]
    network.train()
    torch.manual_seed(0)
    for _ in range(3):
        loss = nn.functional.cross_entropy(network(images), labels, label_smoothing=values["label_smoothing"])
        step.zero_grad()
        total = loss + sum(terms().values())
        outputs.append(total.detach())
        total.backward()
        step.step()
        schedule.step()
    outputs.append(network.eval()(images).detach())
    trained = {key: tuple(weight.shape) for key, weight in network.named_parameters() if weight.requires_grad}
    return trained, tuple(outputs)


CANDIDATES: dict[str, Candidate] = {}


def is_different(one: Learnt, two: Learnt) -> bool:
    return one[0] != two[0] or any(
        before.shape != after.shape or not torch.allclose(before, after, rtol=1e-13, atol=1e-14)
        for before, after in zip(one[1], two[1], strict=True)
    )


@pytest.mark.parametrize(
    ("name", "count"),
    [*((name, 3) for name in NETWORKS), pytest.param("mobilenet_v3_small", 1, marks=pytest.mark.slow)],
)
def test_a_value_that_is_left_changes_the_function_or_what_is_trained(name: str, count: int) -> None:
    space = space_of(name)
    compared = dict.fromkeys(space.choices, 0)
    for seed in range(count):
        candidate = space.sample(Random(seed))
        CANDIDATES[candidate.fingerprint] = candidate
        values = space.values(candidate)
        for decision, choices in space.choices.items():
            drawn = space.decisions[decision].sample(Random(1000 + seed), choices)
            other = space.candidate({**values, decision: drawn})
            differing = {key for key, value in space.values(other).items() if value != values[key]}
            if not differing or differing & DATA_ONLY:
                continue
            CANDIDATES[other.fingerprint] = other
            compared[decision] += 1
            same = "train the same network in the same way"
            assert is_different(learnt(name, candidate.fingerprint), learnt(name, other.fingerprint)), (
                f"{space.words(candidate)} and {space.words(other)} {same}: {sorted(differing)}"
            )
    assert sum(bool(times) for times in compared.values()) >= 8, compared


@pytest.mark.parametrize("name", NETWORKS)
def test_settling_twice_changes_nothing_and_parameters_give_the_candidate_again(name: str) -> None:
    from spaces.networks.space import StoredParameters

    space = space_of(name)
    for seed in range(10):
        candidate = space.sample(Random(seed))
        assert space.candidate(space.values(candidate)) == candidate
        params = space.params(candidate)
        assert params is not None, space.words(candidate)
        assert space.sample(StoredParameters(params)) == candidate


def settled(name: str, **changes: Any) -> Candidate:
    space = space_of(name)
    plain = space.values(space.baseline())
    return space.candidate({**plain, **{key: space.decisions[key].parse(value) for key, value in changes.items()}})


@pytest.mark.parametrize(
    ("inert", "neutral"),
    [
        ({"freeze": 6, "kernel": [["0", 5]]}, {"freeze": 6}),
        ({"pattern": {"kind": "norm", "stage": ""}, "kernel": [["0", 5]]}, {"pattern": {"kind": "norm", "stage": ""}}),
        ({"freeze": 1, "kernel": [["0", 5]]}, {"freeze": 1, "kernel": [["1", 5]]}),
        ({"freeze": 2, "skip": ["1"]}, {"freeze": 1, "skip": ["1"]}),
        ({"mixing": {"kind": "none", "alpha": 0.5}}, {}),
        ({"pseudo": {"threshold": 0.9, "weight": 0.0}}, {}),
        ({"penalty": {"kind": "none", "strength": 0.5, "everything": True}}, {}),
        ({"resolution": [16, 16]}, {}),
        ({"head": {"pooling": "avg", "widths": [], "norm": False, "activation": "gelu", "dropout": 0.3}}, {}),
    ],
)
def test_what_has_no_effect_is_settled_to_the_plain_value(inert: dict[str, Any], neutral: dict[str, Any]) -> None:
    assert settled("convolutional", **inert) == settled("convolutional", **neutral)
    assert settled("convolutional", **inert).fingerprint == settled("convolutional", **neutral).fingerprint
