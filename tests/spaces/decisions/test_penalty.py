from __future__ import annotations

import pytest

from spaces.decisions.penalty import Penalty, Range, decision
from spaces.errors import CandidateError


def test_no_strength_is_asked_for_without_a_penalty() -> None:
    assert decision.params(Penalty(), Range()) == {"penalty.kind": "none"}


def test_a_kind_outside_the_range_has_no_parameters() -> None:
    assert decision.params(Penalty("l2_sp", 1e-3), Range()) is None


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(CandidateError, match=r"penalty.kind must be one of"):
        decision.parse({"kind": "l3", "strength": 1.0, "everything": False})
    with pytest.raises(ValueError, match="log scale"):
        Range(l1=(0.0, 1.0))
