from __future__ import annotations

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions import pattern
from spaces.decisions.freeze import Range, decision
from spaces.networks.space import Space


def test_the_first_units_are_frozen(tiny: Pretrained) -> None:
    assert [unit.is_frozen for unit in decision.apply(tiny.chain, 2)] == [True, True, False, False]


def test_all_units_may_be_frozen(tiny: Pretrained) -> None:
    assert decision.choices(tiny.chain, Range()) == (0, 4)
    assert decision.words(4, tiny.chain) == "all 4 units frozen"


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(ValueError, match="low 3 is larger than high 1"):
        Range(low=3, high=1)


def test_patterns_that_let_the_last_units_learn_are_freeze_depths(tiny: Pretrained) -> None:
    space = Space(tiny, {"freeze": Range(), "pattern": pattern.Range()})

    def chosen(freeze: int, kind: str, stage: str = "") -> tuple[object, object]:
        values = {**space.values(space.baseline()), "freeze": freeze, "pattern": pattern.Learns(kind, stage)}
        choices = space.candidate(values).structure.choices
        return choices["freeze"], choices["pattern"]["kind"]

    assert chosen(0, "stage", "3.0") == chosen(3, "all") == (3, "all")
    assert chosen(0, "head") == chosen(4, "norm") == chosen(4, "all") == (4, "all")
    assert chosen(1, "norm") == (1, "norm")
    assert chosen(0, "stage", "0") == (0, "stage")


def test_without_a_freeze_depth_the_pattern_says_it(tiny: Pretrained) -> None:
    space = Space(tiny, {"pattern": pattern.Range()})
    plain = space.values(space.baseline())
    found = space.candidate({**plain, "pattern": pattern.Learns("head")})
    assert (found.structure.choices["freeze"], found.structure.choices["pattern"]["kind"]) == (0, "head")
    assert space.params(found) == {"pattern.kind": "head"}
