from __future__ import annotations

from spaces.backbones._base import Pretrained
from spaces.decisions.dropout import DropoutRates, Range, decision
from spaces.networks.space import Random


def test_what_is_switched_off_is_not_sampled(tiny: Pretrained) -> None:
    assert decision.sample(Random(0), Range(head=0.0, depth=0.0)) == DropoutRates()
    assert decision.sample(Random(0), Range(head=0.0, depth=0.5)).depth > 0


def test_words_name_both_kinds(tiny: Pretrained) -> None:
    assert decision.words(DropoutRates(0.3, 0.1), tiny.chain) == "dropout 0.3, stochastic depth 0.1"
