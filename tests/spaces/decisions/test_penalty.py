from __future__ import annotations

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions import freeze
from spaces.decisions.penalty import Choices, Penalty, Range, decision
from spaces.errors import CandidateError
from spaces.networks.space import Space, StoredParameters


def test_no_strength_is_asked_for_without_a_penalty() -> None:
    assert decision.params(Penalty(), Choices(Range())) == {"penalty.kind": "none"}


def test_a_kind_outside_the_range_has_no_parameters() -> None:
    assert decision.params(Penalty("l2_sp", 1e-3), Choices(Range())) is None


def test_a_distance_from_weights_that_do_not_learn_is_plain_l2(tiny: Pretrained) -> None:
    ranges = {"freeze": freeze.Range(), "penalty": Range(kinds=("none", "l2_sp"))}
    space = Space(tiny, ranges)
    drawn = {"penalty.kind": "l2_sp", "penalty.l2_sp": 1e-3}
    kinds = [
        space.sample(StoredParameters({"freeze": units, **drawn})).recipe.choices["penalty"]["kind"] for units in (0, 4)
    ]
    assert kinds == ["l2_sp", "none"]  # frozen altogether it is a linear probe, which is solved and not trained
    frozen = freeze.decision.apply(tiny.chain, 4)
    held = decision.settle(Penalty("l2_sp", 1e-3, everything=False), frozen)
    assert held == Penalty("l2", 1e-3, everything=False)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(CandidateError, match=r"penalty.kind must be one of"):
        decision.parse({"kind": "l3", "strength": 1.0, "everything": False})
    with pytest.raises(ValueError, match="log scale"):
        Range(l1=(0.0, 1.0))
