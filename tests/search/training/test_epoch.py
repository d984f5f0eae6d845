from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import ConstantLR

from search.training.epoch import LeaveError, Step, train
from search.training.out_of_memory import MicroBatches
from search.training.precision import choose


def step(network: nn.Module, penalty: float = 0.0) -> Step:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    weight = next(network.parameters())
    return Step(
        network,
        F.cross_entropy,
        lambda: {"l2": penalty * weight.square().sum()} if penalty else {},
        optimizer,
        ConstantLR(optimizer, factor=1.0),
        choose(torch.device("cpu"), "float32"),
        MicroBatches(),
    )


def test_a_step_is_that_of_a_plain_loop() -> None:
    torch.manual_seed(0)
    ours, plain = nn.Linear(4, 3), nn.Linear(4, 3)
    plain.load_state_dict(ours.state_dict())
    images, targets = torch.randn(6, 4, 1, 1).flatten(1), torch.tensor([0, 1, 2, 0, 1, 2])
    step(ours, penalty=0.3).run(images, targets)
    loss = F.cross_entropy(plain(images), targets) + 0.3 * plain.weight.square().sum()
    loss.backward()
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.sub_(0.1 * parameter.grad)
    torch.testing.assert_close(ours.weight, plain.weight)


def test_losses_are_means_over_samples() -> None:
    network = nn.Linear(2, 2)
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    frozen = step(network)
    frozen.optimizer.param_groups[0]["lr"] = 0.0
    batches = [
        (torch.randn(4, 2), torch.zeros(4, dtype=torch.long)),
        (torch.randn(2, 2), torch.ones(2, dtype=torch.long)),
    ]
    losses = train(frozen, batches, lambda: False)
    assert losses.total == pytest.approx(0.6931, abs=1e-3)


def test_leaving_interrupts_before_the_next_step() -> None:
    with pytest.raises(LeaveError):
        train(step(nn.Linear(2, 2)), [(torch.randn(4, 2), torch.zeros(4, dtype=torch.long))], lambda: True)
