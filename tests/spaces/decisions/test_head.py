from __future__ import annotations

import pytest

from spaces import backbones
from spaces.backbones._base import Pretrained
from spaces.decisions.head import Range, decision, features_of
from spaces.heads import HeadChoice
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


def test_a_pool_with_weights_is_kept_or_replaced() -> None:
    pytest.importorskip("timm")
    chain = backbones.resolve("timm:test_vit3").describe((160, 160))
    choices = decision.choices(chain, Range())
    assert choices.pooling == ("pretrained", "mean")
    assert decision.choices(chain, Range(pooling=("mean", "attention"))).pooling == ("mean", "attention")
    assert decision.params(HeadChoice("mean"), choices) == {"head.hidden": 0, "head.norm": False, "head.pool": "mean"}
    plain = decision.baseline(chain)
    assert (plain.pooling, decision.apply(chain, plain)) == ("pretrained", chain)
    replaced = decision.apply(chain, HeadChoice("mean"))
    assert (len(replaced), replaced.dropped) == (len(chain) - 1, 1)
    assert features_of(replaced).poolings == ("mean", "attention")
    assert decision.settle(plain, replaced).pooling == "mean"
    assert decision.words(HeadChoice("mean"), chain) == "mean pooling"
