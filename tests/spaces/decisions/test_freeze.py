from __future__ import annotations

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions.freeze import Range, decision


def test_the_first_units_are_frozen(tiny: Pretrained) -> None:
    assert [unit.is_frozen for unit in decision.apply(tiny.chain, 2)] == [True, True, False, False]


def test_all_units_may_be_frozen(tiny: Pretrained) -> None:
    assert decision.choices(tiny.chain, Range()) == (0, 4)
    assert decision.words(4, tiny.chain) == "all 4 units frozen"


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(ValueError, match="low 3 is larger than high 1"):
        Range(low=3, high=1)
