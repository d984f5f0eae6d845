from __future__ import annotations

import pytest

from search.data import augment
from spaces.backbones._base import Pretrained
from spaces.decisions.augmentation import STRENGTHS, Range, decision
from spaces.errors import CandidateError
from spaces.networks.space import Space, StoredParameters


@pytest.mark.parametrize("strength", STRENGTHS)
def test_every_strength_is_one_that_training_knows(strength: str) -> None:
    assert augment.preset(strength, flip=False).flip == 0.0
    assert decision.parse(decision.dump(strength)) == strength


def test_the_study_files_own_strength_is_the_same_as_study(tiny: Pretrained) -> None:
    space = Space(tiny, {"augmentation": Range()}, training={"augmentation": "light"})
    plain = space.baseline()
    assert space.params(plain) == {"augmentation": "light"}
    assert space.sample(StoredParameters({"augmentation": "light"})) == plain
    assert space.sample(StoredParameters({"augmentation": "strong"})) != plain


def test_an_unknown_strength_is_refused() -> None:
    with pytest.raises(ValueError, match=r"augmentation.strengths: expected one of none, light"):
        Range(strengths=("mild",))
    with pytest.raises(CandidateError, match="must be one of study, none"):
        decision.parse("mild")
