from __future__ import annotations

import pytest

from spaces import backbones
from spaces.backbones._base import Pretrained
from spaces.decisions import detector
from spaces.decisions._base import NotApplicable
from spaces.decisions.pyramid_levels import Levels, Range, decision


def test_levels_begin_where_the_backbone_has_maps() -> None:
    chain = backbones.resolve("resnet18").describe((64, 64))
    found = decision.choices(chain, Range())
    assert isinstance(found, dict)
    assert set(found.values()) == {Levels(stride, extra) for stride in (4, 8, 16) for extra in (0, 1)}
    assert decision.extremes(found, chain) == (Levels(16, 0), Levels(4, 1))


def test_strides_that_the_backbone_lacks_are_passed_over(tiny: Pretrained) -> None:
    found = decision.choices(tiny.chain, Range(finest=(4, 64)))
    assert isinstance(found, dict)
    assert {level.finest for level in found.values()} == {4}


def test_a_single_pyramid_is_not_a_choice(tiny: Pretrained) -> None:
    assert isinstance(decision.choices(tiny.chain, Range(finest=(4,), extra=(1,))), NotApplicable)


def test_ranges_are_checked() -> None:
    with pytest.raises(ValueError, match=r"pyramid_levels.extra: must be between 0 and 3"):
        Range(extra=(9,))


def test_it_is_described(tiny: Pretrained) -> None:
    assert decision.words(Levels(16, 0), tiny.chain) == "pyramid from stride 16, no pooled level"
    assert decision.words(Levels(4, 2), tiny.chain) == "pyramid from stride 4, 2 pooled levels"


@pytest.mark.parametrize("kind", ["rtdetr", "dfine"])
def test_detectors_with_queries_take_the_maps_alone(kind: str) -> None:
    chain = detector.decision.apply(backbones.resolve("resnet18").describe((64, 64)), kind)
    assert decision.settle(Levels(16, 0), chain) == Levels(16, 1)  # as in the plain recipe
    for within in (Range(), Range(extra=(1,))):
        found = decision.choices(chain, within)
        assert isinstance(found, dict)
        narrowed = decision.narrow(found, chain)
        assert list(narrowed) == list(found)  # a study's parameter always has the same choices
        assert set(narrowed.values()) == {Levels(4, 1), Levels(8, 1), Levels(16, 1)}
        for level in narrowed.values():
            params = decision.params(level, narrowed)
            assert params is not None
            assert narrowed[str(params["pyramid_levels"])] == level
    assert decision.words(Levels(8, 1), chain) == ""
    assert decision.words(Levels(16, 1), chain) == "maps from stride 16"
