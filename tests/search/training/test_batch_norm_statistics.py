from __future__ import annotations

import torch
from torch import nn

from search.training.batch_norm_statistics import recalibrate
from search.training.epoch import whole
from search.training.out_of_memory import MicroBatches
from search.training.precision import choose


class Half(nn.Module):
    """Two batch norms, of which the first one stays as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.still, self.moving = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.drop = nn.Dropout(0.5)
        self.still.running_mean = torch.full((3,), 2.0)

    def train(self, mode: bool = True) -> Half:
        super().train(mode)
        self.still.eval()
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.moving(self.drop(self.still(images)))


def recalibrated(network: nn.Module, batches: list[torch.Tensor]) -> None:
    given = [(images, torch.zeros(len(images))) for images in batches]
    recalibrate(network, given, choose(torch.device("cpu"), "float32"), MicroBatches(), whole)


def test_norms_that_move_get_the_mean_over_all_batches_and_the_others_stay() -> None:
    network, batches = Half(), [torch.randn(8, 3, 4, 4) * 3 + 1, torch.randn(8, 3, 4, 4)]
    network.moving.running_mean.fill_(77.0)
    recalibrated(network, batches)
    seen = [(images - 2.0) / (1.0 + network.still.eps) ** 0.5 for images in batches]  # without dropout
    means = torch.stack([images.mean(dim=(0, 2, 3)) for images in seen]).mean(dim=0)
    spreads = torch.stack([images.var(dim=(0, 2, 3)) for images in seen]).mean(dim=0)
    torch.testing.assert_close(network.moving.running_mean, means)
    torch.testing.assert_close(network.moving.running_var, spreads)
    assert network.still.running_mean.tolist() == [2.0] * 3
    assert network.moving.momentum == 0.1
    assert not any(module.training for module in network.modules())


def test_a_network_without_such_norms_sees_no_sample() -> None:
    def none() -> list[torch.Tensor]:
        raise AssertionError("nothing was to be read")

    class Unread(list[torch.Tensor]):
        __iter__ = none  # type: ignore[assignment]

    recalibrate(nn.Linear(2, 2), Unread(), choose(torch.device("cpu")), MicroBatches(), whole)  # type: ignore[arg-type]
