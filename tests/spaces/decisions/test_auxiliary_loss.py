from __future__ import annotations

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions import freeze
from spaces.decisions.auxiliary_loss import Range, decision
from spaces.errors import CandidateError
from spaces.networks.space import Space, StoredParameters


def test_its_weight_is_described(tiny: Pretrained) -> None:
    assert decision.words(0.4, tiny.chain) == "auxiliary loss x 0.4"
    assert decision.words(0.0, tiny.chain) == ""
    assert decision.params(0.3, Range()) is None


def test_weights_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"auxiliary_loss\.weights: must be between 0 and 2, got 3"):
        Range(weights=(3.0,))
    with pytest.raises(CandidateError, match="auxiliary_loss must be a number from 0 to 2"):
        decision.parse(-1)


def test_a_second_classifier_that_nothing_learns_from_is_none(tiny: Pretrained) -> None:
    space = Space(tiny, {"auxiliary_loss": Range(), "freeze": freeze.Range()}, "segmentation")
    drawn = {"auxiliary_loss.weight": 0.4}
    weights = [
        space.sample(StoredParameters({"freeze": units, **drawn})).recipe.choices["auxiliary_loss"]
        for units in (0, 2, 3, 4)
    ]
    assert weights == [0.4, 0.4, 0.0, 0.0]  # it comes after the third of four units
    assert space.params(space.sample(StoredParameters({"freeze": 3}))) == {"freeze": 3}
