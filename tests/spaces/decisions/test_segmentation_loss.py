from __future__ import annotations

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions.segmentation_loss import Range, decision


def test_other_losses_than_cross_entropy_are_described(tiny: Pretrained) -> None:
    assert decision.baseline(tiny.chain) == "cross_entropy"
    assert decision.words("cross_entropy", tiny.chain) == ""
    assert decision.words("cross_entropy+dice", tiny.chain) == "cross-entropy and dice loss"
    assert decision.params("dice", Range()) is None
    with pytest.raises(ValueError, match=r"segmentation_loss\.kinds: expected one of cross_entropy, dice"):
        Range(kinds=("hinge",))
