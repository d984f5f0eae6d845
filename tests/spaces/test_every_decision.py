"""Every decision keeps the rules of its room, on a tiny network and on a real one."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from spaces import backbones
from spaces.backbones._base import Pretrained
from spaces.decisions._base import Decision, NotApplicable
from spaces.errors import CandidateError
from spaces.space import Fixed, Random, registry

DECISIONS = registry()


@pytest.fixture(scope="module")
def real() -> Pretrained:
    found = backbones.resolve("squeezenet1_1").pretrained("none", (48, 48))
    for unit in found.chain:
        unit.module.requires_grad_(False)
    return found


@pytest.fixture(params=["tiny", "real"])
def pretrained(request: pytest.FixtureRequest) -> Pretrained:
    found: Pretrained = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=list(DECISIONS))
def decision(request: pytest.FixtureRequest) -> Decision[Any]:
    return DECISIONS[request.param]


def draws(decision: Decision[Any], pretrained: Pretrained, count: int = 12) -> list[Any]:
    choices = decision.choices(pretrained.chain, decision.options())
    if isinstance(choices, NotApplicable):
        pytest.skip(choices.reason)
    return [decision.sample(Random(seed), choices) for seed in range(count)]


def test_its_name_is_its_file(decision: Decision[Any]) -> None:
    assert type(decision).__module__ == f"spaces.decisions.{decision.name}"


def test_values_go_to_json_and_come_back(decision: Decision[Any], pretrained: Pretrained) -> None:
    for value in [*draws(decision, pretrained), decision.baseline(pretrained.chain)]:
        assert decision.parse(json.loads(json.dumps(decision.dump(value)))) == value


def test_parameters_give_the_value_again(decision: Decision[Any], pretrained: Pretrained) -> None:
    choices = decision.choices(pretrained.chain, decision.options())
    for value in draws(decision, pretrained):
        params = decision.params(value, choices)
        assert params is not None
        assert all(name.split(".")[0] == decision.name for name in params)
        assert decision.sample(Fixed(params), choices) == value


def test_applying_leaves_the_chain_alone(decision: Decision[Any], pretrained: Pretrained) -> None:
    before = {name: value.clone() for name, value in pretrained.chain.state_dict().items()}
    units = pretrained.chain.units
    for value in draws(decision, pretrained):
        decision.apply(pretrained.chain, value)
    assert pretrained.chain.units is units
    for name, value in pretrained.chain.state_dict().items():
        torch.testing.assert_close(value, before[name])


def test_the_plain_recipe_changes_nothing(decision: Decision[Any], pretrained: Pretrained) -> None:
    images = torch.randn(1, 3, *pretrained.chain.input_size)
    changed = decision.apply(pretrained.chain, decision.baseline(pretrained.chain))
    torch.testing.assert_close(changed.forward(images), pretrained.chain.forward(images))


def test_changes_run_and_are_said_in_words(decision: Decision[Any], pretrained: Pretrained) -> None:
    images = torch.randn(1, 3, *pretrained.chain.input_size)
    plain = decision.baseline(pretrained.chain)
    for value in draws(decision, pretrained):
        decision.apply(pretrained.chain, value).forward(images)
        words = decision.words(value, pretrained.chain)
        assert isinstance(words, str)
        assert words or value == plain or decision.name == "head"


@pytest.mark.parametrize("data", [None, "nonsense", {"strange": 1}, [1, 2, 3], True])
def test_data_of_something_else_is_refused(decision: Decision[Any], data: object) -> None:
    with pytest.raises(CandidateError, match=decision.name):
        decision.parse(data)


def test_an_unknown_option_is_refused(decision: Decision[Any]) -> None:
    from pydantic import TypeAdapter, ValidationError

    with pytest.raises(ValidationError, match="strange"):
        TypeAdapter(decision.options).validate_json('{"strange": 1}', strict=True)
