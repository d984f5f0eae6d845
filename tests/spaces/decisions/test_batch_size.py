from __future__ import annotations

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions.batch_size import Choices, Range, decision
from spaces.errors import CandidateError
from spaces.networks.space import Space, StoredParameters


def test_the_study_files_size_is_kept_unless_another_is_drawn() -> None:
    assert decision.dump(None) == "study"
    assert decision.parse("study") is None
    assert decision.params(None, Choices((16, 32))) is None
    assert decision.params(32, Choices((16, 32))) == {"batch_size": 32}


def test_the_study_files_own_size_is_the_same_as_none(tiny: Pretrained) -> None:
    space = Space(tiny, {"batch_size": Range()}, training={"batch_size": 32})
    plain = space.baseline()
    assert space.params(plain) == {"batch_size": 32}
    assert space.sample(StoredParameters({"batch_size": 32})) == plain
    assert space.sample(StoredParameters({"batch_size": 16})) != plain


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 samples per step, got 1"):
        Range(sizes=(1, 32))
    with pytest.raises(CandidateError, match="whole number from 1, got 0"):
        decision.parse(0)
