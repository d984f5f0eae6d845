"""Every decision keeps the rules of its room, on a tiny network and on a real one."""

from __future__ import annotations

import itertools
import json
from functools import lru_cache
from typing import Any

import pytest
import torch

from spaces import backbones
from spaces.backbones._base import Pretrained
from spaces.chains.chain import Chain
from spaces.decisions import registry
from spaces.decisions._base import Decision, NotApplicable, Stage
from spaces.errors import CandidateError, ProbeError
from spaces.networks.space import Random, Space, StoredParameters

DECISIONS = registry()


@pytest.fixture(scope="module")
def real() -> Pretrained:
    found = backbones.resolve("mobilenet_v3_small").pretrained("none", (64, 64))
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


@pytest.fixture(scope="module")
def real_chain(real: Pretrained) -> Chain:
    return Space(real, {}).chain


@pytest.fixture(params=["tiny", "real"])
def chain(request: pytest.FixtureRequest) -> Chain:
    """The chain of a space, on which decisions are applied one after another."""
    if request.param == "real":
        return request.getfixturevalue("real_chain")  # type: ignore[no-any-return]
    return Space(request.getfixturevalue("tiny"), {}).chain


@lru_cache(maxsize=512)
def choices_of(decision: Decision[Any], chain: Chain) -> Any:
    """Return the choices on ``chain``, found once for all tests: each is run on fake tensors."""
    return decision.choices(chain, decision.options())


def draws(decision: Decision[Any], pretrained: Pretrained, count: int = 12) -> list[Any]:
    choices = choices_of(decision, pretrained.chain)
    if isinstance(choices, NotApplicable):
        pytest.skip(choices.reason)
    return [decision.sample(Random(seed), choices) for seed in range(count)]


def test_its_name_is_its_file(decision: Decision[Any]) -> None:
    assert type(decision).__module__ == f"spaces.decisions.{decision.name}"


def test_values_go_to_json_and_come_back(decision: Decision[Any], pretrained: Pretrained) -> None:
    for value in [*draws(decision, pretrained), decision.baseline(pretrained.chain)]:
        assert decision.parse(json.loads(json.dumps(decision.dump(value)))) == value


def test_parameters_give_the_value_again(decision: Decision[Any], pretrained: Pretrained) -> None:
    choices = choices_of(decision, pretrained.chain)
    for value in draws(decision, pretrained):
        params = decision.params(value, choices)
        assert params is not None
        assert all(name.split(".")[0] == decision.name for name in params)
        assert decision.sample(StoredParameters(params), choices) == value


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


def test_what_is_promised_to_start_as_the_pretrained_function_does(
    decision: Decision[Any], pretrained: Pretrained
) -> None:
    images = torch.randn(2, 3, *pretrained.chain.input_size)
    expected = pretrained.chain.forward(images)
    for value in draws(decision, pretrained):
        if decision.keeps_function(value, pretrained.chain):
            found = decision.apply(pretrained.chain, value).forward(images)
            assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_units_that_a_choice_may_change_are_units_of_the_chain(decision: Decision[Any], pretrained: Pretrained) -> None:
    choices = choices_of(decision, pretrained.chain)
    if not isinstance(choices, NotApplicable):
        assert set(decision.touches(choices, pretrained.chain)) <= {unit.name for unit in pretrained.chain}


PAIRS = [
    (first, second)
    for first, second in itertools.combinations(DECISIONS.values(), 2)
    if first.stage is second.stage and first.stage < Stage.HEAD
]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda decision: decision.name)
def test_decisions_of_one_stage_commute(first: Decision[Any], second: Decision[Any], chain: Chain) -> None:
    offered = [choices_of(decision, chain) for decision in (first, second)]
    if any(isinstance(choices, NotApplicable) for choices in offered):
        pytest.skip("one of them does not apply here")
    images = torch.randn(2, 3, *chain.input_size)
    for seed in range(6):
        one, two = (
            decision.sample(Random(seed), choices) for decision, choices in zip((first, second), offered, strict=True)
        )
        two = second.settle(two, first.apply(chain, one))
        try:
            there = second.apply(first.apply(chain, one), two)
            back = first.apply(second.apply(chain, two), one)
            expected = there.forward(images)
        except (ProbeError, RuntimeError):
            continue  # too much was taken away for this size; `Space` takes one of them back
        assert [unit.trainable for unit in there] == [unit.trainable for unit in back]
        assert set(there.state_dict()) == set(back.state_dict())
        torch.testing.assert_close(back.forward(images), expected)


def test_changes_run_and_are_described(decision: Decision[Any], pretrained: Pretrained) -> None:
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
