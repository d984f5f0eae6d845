from __future__ import annotations

from typing import Any

import pytest

from spaces.backbones._base import Pretrained
from spaces.candidate import Candidate
from spaces.decisions import augmentation, freeze, insert, kernel, lora, optimizer, pattern, penalty
from spaces.networks.described_candidates import fulfilled
from spaces.networks.space import Space

FINE = {"name": "adamw", "lr_head": 1e-3, "lr_backbone": 1e-4, "schedule": "cosine"}


def chosen(candidate: Candidate | None) -> dict[str, Any]:
    assert candidate is not None
    return {**candidate.structure.choices, **candidate.recipe.choices}


def test_shares_and_places_are_those_of_the_backbone(tiny: Pretrained) -> None:
    space = Space(
        tiny,
        {
            "freeze": freeze.Range(),
            "pattern": pattern.Range(),
            "lora": lora.Range(ranks=(2,)),
            "insert": insert.Range(),
        },
    )
    assert chosen(fulfilled(space, {"freeze": 0.5}, ()))["freeze"] == 2
    assert chosen(fulfilled(space, {"freeze": "last"}, ()))["freeze"] == 3
    assert chosen(fulfilled(space, {"pattern": {"kind": "norm"}}, ("pattern",)))["pattern"]["kind"] == "norm"
    last = chosen(fulfilled(space, {"freeze": 1.0, "insert": {"where": "last", "kind": "adapter", "width": 20}}, ()))
    assert last["insert"] == {"where": "3.0", "kind": "adapter", "width": 32}


def test_rates_come_as_near_as_the_range_allows(tiny: Pretrained) -> None:
    space = Space(tiny, {"optimizer": optimizer.Range(adamw_head=(2e-3, 1e-2), schedules=("constant",))})
    found = chosen(fulfilled(space, {"optimizer": FINE}, ("optimizer",)))["optimizer"]
    assert (found["lr_head"], found["lr_backbone"], found["schedule"]) == (2e-3, 1e-4, "constant")


@pytest.mark.parametrize(
    ("ranges", "wishes", "needs"),
    [
        ({}, {"freeze": 1.0}, ("freeze",)),
        ({"freeze": freeze.Range(high=2)}, {"freeze": 1.0}, ("freeze",)),
        ({"optimizer": optimizer.Range(names=("sgd",))}, {"optimizer": FINE}, ("optimizer",)),
        ({"freeze": freeze.Range()}, {"another": 1}, ("another",)),
        ({"pattern": pattern.Range(kinds=("all",))}, {"pattern": {"kind": "norm"}}, ("pattern",)),
    ],
)
def test_what_the_space_does_not_hold_is_not_a_candidate(
    tiny: Pretrained, ranges: dict[str, Any], wishes: dict[str, Any], needs: tuple[str, ...]
) -> None:
    assert fulfilled(Space(tiny, ranges), wishes, needs) is None


def test_a_wish_that_is_not_needed_gives_way(tiny: Pretrained) -> None:
    space = Space(tiny, {"freeze": freeze.Range()})
    wishes = {"freeze": 1.0, "optimizer": FINE, "augmentation": "strong", "penalty": {"kind": "decay", "strength": 0.1}}
    found = chosen(fulfilled(space, wishes, ("freeze",)))
    assert found["freeze"] == 4
    assert found["optimizer"]["name"] == "sgd"
    assert found["penalty"]["kind"] == "none"


def test_ranges_without_the_plain_value_take_their_likeliest(tiny: Pretrained) -> None:
    ranges = {
        "augmentation": augmentation.Range(strengths=("medium", "strong")),
        "penalty": penalty.Range(kinds=("l2",)),
        "kernel": kernel.Range(),
    }
    space = Space(tiny, ranges)
    found = fulfilled(space, {}, ())
    assert found is not None
    assert space.params(found) is not None
    assert chosen(found)["augmentation"] == "medium"
    assert chosen(found)["penalty"] == {"kind": "l2", "strength": 1e-4, "everything": False}
