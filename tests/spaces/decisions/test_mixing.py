from __future__ import annotations

import pytest

from spaces.decisions.mixing import Mixing, Range, decision
from spaces.errors import CandidateError


def test_no_parameter_is_asked_for_without_mixing() -> None:
    assert decision.params(Mixing(), Range()) == {"mixing.kind": "none"}
    assert decision.params(Mixing("cutmix", 1.0), Range()) == {"mixing.kind": "cutmix", "mixing.cutmix": 1.0}
    assert decision.params(Mixing("mixup", 5.0), Range()) is None


def test_values_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="above 0, got 0"):
        Range(mixup=(0.0, 0.4))
    with pytest.raises(CandidateError, match=r"mixing.kind must be one of none, mixup, cutmix"):
        decision.parse({"kind": "blend", "alpha": 1.0})
    with pytest.raises(CandidateError, match=r"mixing.alpha must be a number of at least"):
        decision.parse({"kind": "mixup", "alpha": 0.0})
