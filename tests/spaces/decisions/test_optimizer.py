from __future__ import annotations

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions import freeze
from spaces.decisions.optimizer import Choices, Optimizer, Range, decision
from spaces.networks.described_candidates import fulfilled
from spaces.networks.space import Random, Space


def test_learning_rates_belong_to_their_optimiser() -> None:
    params = decision.params(Optimizer("adamw", 1e-3, 1e-4, warmup=0.1), Choices(Range()))
    assert params is not None
    assert "optimizer.adamw.lr_head" in params
    assert "optimizer.sgd.lr_head" not in params


def test_a_frozen_backbone_has_no_learning_rate() -> None:
    params = decision.params(
        Optimizer("adamw", 1e-3, 1e-3, warmup=0.1), Choices(Range(layer_decay=(0.5, 1.0)), backbone=False, decays=False)
    )
    assert params is not None
    assert set(params) == {"optimizer.name", "optimizer.schedule", "optimizer.adamw.lr_head"}


def test_rates_that_nothing_follows_are_settled(tiny: Pretrained) -> None:
    drawn = Optimizer("adamw", 1e-3, 1e-4, momentum=0.5, layer_decay=0.7)
    frozen, last = (freeze.decision.apply(tiny.chain, units) for units in (4, 3))
    assert decision.settle(drawn, frozen) == Optimizer("adamw", 1e-3, 1e-3)
    assert decision.settle(drawn, last) == Optimizer("adamw", 1e-3, 1e-4)
    assert decision.settle(drawn, tiny.chain) == Optimizer("adamw", 1e-3, 1e-4, layer_decay=0.7)


@pytest.mark.parametrize(("given", "sgd", "adamw"), [(None, 0.0, 0.1), (0.0, 0.0, 0.0), (0.3, 0.3, 0.3)])
def test_adam_warms_up_unless_the_range_says_otherwise(
    tiny: Pretrained, given: float | None, sgd: float, adamw: float
) -> None:
    space = Space(tiny, {"optimizer": Range(warmup=given)})
    drawn = [space.values(space.sample(Random(seed)))["optimizer"] for seed in range(20)]
    assert {(one.name, one.warmup) for one in drawn} == {("sgd", sgd), ("adamw", adamw)}
    wishes = {"optimizer": {"name": "adamw", "lr_head": 1e-3, "schedule": "cosine"}}
    wished = fulfilled(space, wishes, ("optimizer",))
    assert wished is not None
    assert space.values(wished)["optimizer"].warmup == adamw


def test_the_plain_recipe_is_sgd_with_momentum() -> None:
    plain = Optimizer()
    assert (plain.name, plain.lr_head, plain.lr_backbone, plain.momentum) == ("sgd", 1e-3, 1e-3, 0.9)


def test_learning_rates_of_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Range(sgd_head=(0.0, 1.0))
