from __future__ import annotations

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions.epochs import Range, decision
from spaces.errors import CandidateError


def test_the_plain_recipe_runs_all_epochs(tiny: Pretrained) -> None:
    assert decision.baseline(tiny.chain) == 1.0
    assert decision.words(1.0, tiny.chain) == ""
    assert decision.words(0.5, tiny.chain) == "50 % of the epochs"


def test_shares_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"above 0 and at most 1, got 1\.5"):
        Range(shares=(0.5, 1.5))
    with pytest.raises(CandidateError, match="above 0 and at most 1, got 0"):
        decision.parse(0)
