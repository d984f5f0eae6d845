from __future__ import annotations

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions.pseudo import Pseudo, Range, decision
from spaces.errors import CandidateError
from spaces.networks.space import StoredParameters


def test_without_it_nothing_else_is_asked_for(tiny: Pretrained) -> None:
    assert (
        decision.sample(StoredParameters({"pseudo.labels": "off"}), Range())
        == decision.baseline(tiny.chain)
        == Pseudo()
    )
    assert decision.words(Pseudo(), tiny.chain) == ""
    chosen = decision.sample(
        StoredParameters({"pseudo.labels": "on", "pseudo.threshold": 0.9, "pseudo.weight": 0.5}), Range()
    )
    assert chosen == Pseudo(0.9, 0.5)
    assert decision.words(chosen, tiny.chain) == "pseudo-labels from 0.9 on, weight 0.5"
    assert decision.params(Pseudo(0.5, 0.5), Range()) is None


def test_wrong_ranges_and_values_are_refused() -> None:
    for wrong in ({"threshold": (0.5, 1.5)}, {"threshold": (0.9, 0.8)}, {"weight": (0.0, 1.0)}):
        with pytest.raises(ValueError, match=r"pseudo\."):
            Range(**wrong)
    with pytest.raises(CandidateError, match=r"pseudo.threshold must be a number from 0 to 1"):
        decision.parse({"threshold": 2, "weight": 1})
