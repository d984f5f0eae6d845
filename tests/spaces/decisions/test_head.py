from __future__ import annotations

from spaces import backbones
from spaces.backbones._base import Pretrained
from spaces.decisions.head import Range, decision, features_of
from spaces.networks.space import Random


def test_widths_are_asked_for_only_where_there_are_layers(tiny: Pretrained) -> None:
    choices = decision.choices(tiny.chain, Range())
    for seed in range(20):
        value = decision.sample(Random(seed), choices)
        params = decision.params(value, choices) or {}
        assert sum("width" in name for name in params) == len(value.widths)


def test_poolings_fit_the_features() -> None:
    tokens = backbones.resolve("vit_b_32").describe((64, 64))
    assert decision.choices(tokens, Range()).pooling == ("cls", "mean")
    assert features_of(tokens).class_token == 0
