from __future__ import annotations

import pytest
import torch

from search.training.optimizers import optimize, schedule
from spaces import heads
from spaces.backbones._base import Pretrained
from spaces.decisions.optimizer import Optimizer
from spaces.decisions.penalty import Penalty
from spaces.networks import build
from spaces.networks.space import Space


@pytest.fixture
def network(tiny: Pretrained) -> build.Network:
    space = Space(tiny, {})
    return build.build(
        space.apply(space.baseline()),
        space.values(space.baseline()),
        lambda features, choice, _: heads.vector_head(features, 5, choice),
        0,
    )


def test_head_and_units_have_their_own_rates(network: build.Network) -> None:
    optimizer, _ = optimize(network, Optimizer("adamw", 0.1, 0.01, layer_decay=0.5), Penalty(), 10)
    rates = {(group["name"], round(group["lr"], 6)) for group in optimizer.param_groups}
    assert rates == {
        ("head", 0.1),
        ("backbone", 0.01),
        ("backbone", 0.005),
        ("backbone", 0.0025),
        ("backbone", 0.00125),
    }


def test_decoupled_decay_spares_norms_and_biases(network: build.Network) -> None:
    optimizer, _ = optimize(network, Optimizer(), Penalty("decay", 0.3), 10)
    for group in optimizer.param_groups:
        dimensions = {parameter.ndim > 1 for parameter in group["params"]}
        assert dimensions == {group["weight_decay"] == 0.3}
    listed = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(listed) == sorted(id(parameter) for parameter in network.parameters())


def test_a_cosine_ends_at_zero_after_its_warm_up() -> None:
    factor = schedule(Optimizer(schedule="cosine", warmup=0.2), 10)
    assert [round(factor(step), 3) for step in (0, 1, 2)] == [0.333, 0.667, 1.0]
    assert factor(10) == pytest.approx(0.0)
    assert schedule(Optimizer(), 10)(9) == 1.0


def test_sgd_with_momentum_is_the_plain_recipe(network: build.Network) -> None:
    optimizer, _ = optimize(network, Optimizer(), Penalty(), 10)
    assert isinstance(optimizer, torch.optim.SGD)
    assert all(group["momentum"] == 0.9 and group["lr"] == 0.001 for group in optimizer.param_groups)
