from __future__ import annotations

import json
from typing import Any

import pytest

from spaces.backbones._base import Pretrained
from spaces.candidate import Candidate
from spaces.decisions import registry
from spaces.decisions.head_start import PROBE, RANDOM, Range, decision, is_linear_probe
from spaces.decisions.optimizer import Optimizer
from spaces.errors import CandidateError
from spaces.networks.neighbours import neighbour
from spaces.networks.space import Space, StoredParameters


def judged(tiny: Pretrained, structure: dict[str, Any], recipe: dict[str, Any] | None = None) -> bool:
    space = Space(tiny, {}, "classification")
    plain = space.baseline().to_json()
    plain["structure"]["choices"] |= structure
    plain["recipe"]["choices"] |= recipe or {}
    candidate = Candidate.from_json(plain)
    return is_linear_probe(space.values(candidate), space.apply(candidate))


def test_the_plain_recipe_starts_solved_and_says_so_only_where_it_does_not(tiny: Pretrained) -> None:
    assert decision.baseline(tiny.chain) == PROBE
    assert decision.words(PROBE, tiny.chain) == ""
    assert decision.words(RANDOM, tiny.chain) == "head from random weights"


def test_starts_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match=r"head_start\.starts: expected one of probe, random, got 'zero'"):
        Range(starts=("probe", "zero"))
    with pytest.raises(CandidateError, match="head_start must be one of probe, random"):
        decision.parse("zero")


def test_tasks_whose_heads_are_not_a_single_layer_do_not_have_it() -> None:
    assert "head_start" in registry("regression")
    for task in ("detection", "segmentation", "tokens"):
        assert "head_start" not in registry(task)


HEAD = {"pooling": "avg", "widths": [], "norm": False, "activation": "relu", "dropout": 0.0}


@pytest.mark.parametrize(
    ("structure", "recipe", "expected"),
    [
        ({"freeze": 4}, {}, True),
        ({"freeze": 4, "head": {**HEAD, "norm": True}}, {}, True),
        ({"freeze": 3}, {}, False),
        ({"freeze": 4}, {"head_start": RANDOM}, False),
        ({"freeze": 4, "head": {**HEAD, "widths": [8]}}, {}, False),
        ({"freeze": 4, "head": {**HEAD, "pooling": "gem"}}, {}, False),
        ({"freeze": 4, "insert": {"where": "all", "kind": "adapter", "width": 2}}, {}, False),
        ({"freeze": 4}, {"pseudo": {"threshold": 0.9, "weight": 1.0}}, False),
    ],
)
def test_a_linear_probe_has_nothing_that_learns_in_front_of_its_last_layer(
    tiny: Pretrained, structure: dict[str, Any], recipe: dict[str, Any], expected: bool
) -> None:
    assert judged(tiny, structure, recipe) is expected


def test_a_linear_probe_has_no_recipe_and_is_not_asked_for_one(tiny: Pretrained) -> None:
    ranges = {
        name: registry("classification")[name].options() for name in ("freeze", "optimizer", "penalty", "dropout")
    }
    space = Space(tiny, ranges, "classification")
    found = space.sample(StoredParameters({"freeze": 4, "dropout.head": 0.3}))
    assert found.recipe == space.baseline().recipe
    assert found.structure.choices["dropout"] == {"head": 0.0, "depth": 0.0}
    assert space.params(found) == {"freeze": 4, "dropout.head": 0.0}
    assert space.words(found) == "Tiny, all 4 units frozen"
    other = {**space.values(found), "optimizer": Optimizer("adamw", 1e-2, 1e-2)}
    assert space.candidate(other) == found


def test_what_is_no_longer_a_probe_gets_a_recipe(tiny: Pretrained) -> None:
    ranges = {name: registry("classification")[name].options() for name in ("freeze", "optimizer")}
    space = Space(tiny, ranges, "classification")
    probe = space.sample(StoredParameters({"freeze": 4}))
    found = [neighbour(space, probe, seed) for seed in range(12)]
    trained = [one for one in found if one.structure.choices["freeze"] < 4]
    assert trained
    assert len({json.dumps(one.recipe.choices["optimizer"]) for one in trained}) > 1
