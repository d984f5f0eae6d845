from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor, nn

from search.training import latency
from search.training.precision import choose

CPU = choose(torch.device("cpu"))


class Waiting(nn.Module):
    """Takes the given numbers of milliseconds, one per pass."""

    def __init__(self, *milliseconds: float) -> None:
        super().__init__()
        self.left = list(milliseconds)
        self.norm = nn.BatchNorm2d(3)
        self.modes: set[bool] = set()

    def forward(self, images: Tensor) -> Tensor:
        self.modes.add(self.training)
        time.sleep(self.left.pop(0) / 1000)
        out: Tensor = self.norm(images)
        return out


def test_the_median_of_the_runs_counts_and_neither_the_warmup_nor_an_outlier() -> None:
    network = Waiting(80, 80, 10, 10, 60, 10, 10)
    found = latency.measure(network, torch.zeros(2, 3, 4, 4), CPU, warmup=2, runs=5)
    assert 10 <= found.median < 40
    assert found.lower <= found.median <= found.upper < 60
    assert network.left == []


@pytest.mark.parametrize("training", [True, False])
def test_a_network_is_measured_as_in_validation_and_left_as_it_was(training: bool) -> None:
    network = Waiting(0, 0, 0).train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    latency.measure(network, torch.ones(2, 3, 4, 4), CPU, warmup=1, runs=2)
    assert network.modes == {False}
    assert network.training is training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_quartiles_are_those_of_the_counted_passes() -> None:
    network = Waiting(50, 10, 20, 30, 40, 50)
    found = latency.measure(network, torch.zeros(1, 3, 4, 4), CPU, warmup=1, runs=5)
    assert [round(one, -1) for one in found] == [30, 20, 40]
    assert len(set(latency.measure(Waiting(1), torch.zeros(1, 3, 4, 4), CPU, warmup=0, runs=1))) == 1
