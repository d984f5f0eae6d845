"""A source of backbones: one small network, ``toy:two_blocks``."""

from __future__ import annotations

from torch import nn

from spaces.backbones._base import Backbone, Source


class TwoBlocks(Backbone):
    """Two convolutions with stride 2, a pool and a classifier; it has no pretrained weights."""

    name, label, weights, parameters, gflops = "toy:two_blocks", "TwoBlocks", (), 1610, 0.001

    def build(self, input_size: tuple[int, int]) -> nn.Module:
        def block(channels: int, out: int) -> nn.Module:
            return nn.Sequential(nn.Conv2d(channels, out, 3, 2, 1), nn.BatchNorm2d(out), nn.ReLU())

        return nn.Sequential(block(3, 8), block(8, 16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


class Toy(Source):
    """All networks of this package."""

    name = "toy"

    def names(self) -> tuple[str, ...]:
        return ("two_blocks",)

    def open(self, name: str) -> Backbone:
        return TwoBlocks()


source = Toy()
