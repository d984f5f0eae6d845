from __future__ import annotations

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions.weight_average import Range, decision
from spaces.errors import CandidateError


def test_an_average_is_described(tiny: Pretrained) -> None:
    assert decision.words("moving", tiny.chain) == "averaged weights"
    assert decision.words(decision.baseline(tiny.chain), tiny.chain) == ""


def test_averages_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match=r"weight_average\.kinds: expected one of none, moving"):
        Range(kinds=("swa",))
    with pytest.raises(CandidateError, match="weight_average must be one of none, moving"):
        decision.parse("swa")
