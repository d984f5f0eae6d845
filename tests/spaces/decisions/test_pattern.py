from __future__ import annotations

import pytest

from spaces.backbones._base import Pretrained
from spaces.chains.chain import Trainable
from spaces.decisions import freeze
from spaces.decisions.pattern import Learns, Range, decision
from spaces.errors import CandidateError

ALL, NORM, BIAS, NONE = Trainable.ALL, Trainable.NORM, Trainable.BIAS, Trainable.NONE


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Learns(), [ALL, ALL, ALL, ALL]),
        (Learns("norm"), [NORM] * 4),
        (Learns("bias"), [BIAS] * 4),
        (Learns("head"), [NONE] * 4),
        (Learns("stage", "3.0"), [NONE, NONE, NONE, ALL]),
        (Learns("stage", "0"), [ALL, ALL, ALL, NONE]),
    ],
)
def test_a_pattern_says_what_learns(tiny: Pretrained, value: Learns, expected: list[Trainable]) -> None:
    assert [unit.trainable for unit in decision.apply(tiny.chain, value)] == expected


def test_frozen_units_stay_frozen_whichever_comes_first(tiny: Pretrained) -> None:
    for value in (Learns("norm"), Learns("stage", "0")):
        first = decision.apply(freeze.decision.apply(tiny.chain, 2), value)
        second = freeze.decision.apply(decision.apply(tiny.chain, value), 2)
        assert [unit.trainable for unit in first] == [unit.trainable for unit in second]
        assert first.units[0].trainable is NONE


def test_a_stage_within_the_freeze_depth_leaves_nothing_to_choose(tiny: Pretrained) -> None:
    frozen = freeze.decision.apply(tiny.chain, 3)
    assert decision.settle(Learns("stage", "0"), frozen) == Learns("head")
    assert decision.settle(Learns("stage", "3.0"), frozen) == Learns()


def test_kinds_that_have_no_place_drop_out(tiny: Pretrained) -> None:
    choices = decision.choices(tiny.chain, Range())
    assert choices.kinds == ("all", "stage", "norm", "bias", "head")
    assert choices.stages == ("0", "3.0")


@pytest.mark.parametrize(
    "data", [{"kind": "stage", "stage": ""}, {"kind": "norm", "stage": "0"}, {"kind": "x", "stage": ""}]
)
def test_a_pattern_that_makes_no_sense_is_refused(data: object) -> None:
    with pytest.raises(CandidateError, match="pattern"):
        decision.parse(data)


def test_an_unknown_stage_is_refused_with_the_known_ones(tiny: Pretrained) -> None:
    with pytest.raises(CandidateError, match=r"no stage 'layer9' in this backbone; stages: 0, 3\.0"):
        decision.apply(tiny.chain, Learns("stage", "layer9"))
