from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from spaces.backbones._base import Pretrained
from spaces.chains.chain import Chain
from spaces.decisions import registry
from spaces.decisions._prior import Prior
from spaces.decisions.freeze import decision as freeze
from spaces.errors import CandidateError
from spaces.networks.several_backbones import Several, below, decision_of, opening
from spaces.networks.space import Random, Space, StoredParameters

RANGES = {"freeze": freeze.options(), "optimizer": registry()["optimizer"].options()}


@pytest.fixture
def opened() -> list[str]:
    return []


@pytest.fixture
def several(tiny: Pretrained, opened: list[str]) -> Several:
    """Two backbones: one of four units, one of its first three."""
    chain: Chain = tiny.chain
    short = replace(tiny, backbone="test:short", label="Short", chain=replace(chain, units=chain.units[:3]))
    spaces = {one.backbone: Space(one, RANGES) for one in (tiny, short)}

    def open_one(name: str) -> Space:
        opened.append(name)
        return spaces[name]

    return Several(("test:tiny", "test:short"), open_one)


def test_a_backbone_is_opened_when_a_candidate_of_it_is_asked_for(several: Several, opened: list[str]) -> None:
    several.baseline()
    assert set(opened) == {"test:tiny"}
    several.sample(Short(0))
    assert set(opened) == {"test:tiny", "test:short"}


class Short(Random):
    """Draws at random, but always the second backbone."""

    def choice(self, name: str, choices: Sequence[Any], *, prior: Prior | None = None) -> Any:
        return "test:short" if name == "backbone" else super().choice(name, choices)


def test_every_candidate_is_drawn_again_from_its_parameters(several: Several) -> None:
    seen = set()
    for seed in range(20):
        candidate = several.sample(Random(seed))
        params = several.params(candidate)
        assert params is not None
        name = candidate.structure.backbone
        assert params["backbone"] == name
        assert all(parameter == "backbone" or parameter.endswith(f"@{name}") for parameter in params)
        assert several.sample(StoredParameters(params)) == candidate
        assert several.words(candidate).startswith("Tiny" if name == "test:tiny" else "Short")
        assert len(several.apply(candidate)) <= (4 if name == "test:tiny" else 3)
        several.check(candidate)
        seen.add(name)
    assert seen == {"test:tiny", "test:short"}


def test_the_same_decision_has_its_own_range_below_every_backbone(several: Several) -> None:
    found = several.parameters()
    assert found["backbone"] == "test:tiny, test:short"
    assert (found["freeze@test:tiny"], found["freeze@test:short"]) == ("0 to 4", "0 to 3")


def test_the_smallest_candidate_is_of_the_smallest_backbone(several: Several) -> None:
    smallest, largest = several.extremes()
    assert (smallest.structure.backbone, largest.structure.backbone) == ("test:short", "test:tiny")


def test_a_candidate_of_another_backbone_is_refused_by_name(several: Several) -> None:
    own = several.baseline()
    other = replace(own, structure=replace(own.structure, backbone="test:other"))
    assert several.params(other) is None
    with pytest.raises(CandidateError, match="is for test:other, this study has test:tiny, test:short"):
        several.values(other)


def test_parameters_name_their_decision() -> None:
    assert decision_of(below("optimizer.lr", "timm:resnet.a1")) == "optimizer"
    assert decision_of("freeze") == "freeze"


def test_each_backbone_has_its_turn_in_the_order_of_the_list(several: Several, tiny: Pretrained) -> None:
    assert [dict(opening(several, number)) for number in range(3)] == [{}, {"backbone": "test:short"}, {}]
    assert opening(Space(tiny, RANGES), 1) == {}
