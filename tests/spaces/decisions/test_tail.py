from __future__ import annotations

from spaces.backbones._base import Pretrained
from spaces.decisions.tail import Range, decision


def test_the_last_units_are_removed(tiny: Pretrained) -> None:
    left = decision.apply(tiny.chain, 3)
    assert [unit.name for unit in left] == ["0"]
    assert left.dropped == 3


def test_at_most_a_third_is_dropped_by_default(tiny: Pretrained) -> None:
    assert decision.choices(tiny.chain, Range()) == (0, 1)
