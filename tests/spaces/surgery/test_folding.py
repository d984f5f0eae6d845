from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from spaces.surgery.folding import fold_batch_norms


def lived_in(network: nn.Module) -> nn.Module:
    """Give batch norms statistics as training leaves them."""
    generator = torch.Generator().manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean.copy_(torch.randn(layer.num_features, generator=generator))
            layer.running_var.copy_(torch.rand(layer.num_features, generator=generator) + 0.5)
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
    return network.eval()


class Branches(nn.Module):
    """What a convolution gives is read by its norm and by an addition."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.conv(x)
        return found + self.norm(found)


class Twice(nn.Module):
    """One convolution in front of two norms."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.one, self.two = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(self.conv(self.one(self.conv(x))))


@torch.inference_mode()
def folded(network: nn.Module, inputs: torch.Tensor) -> tuple[int, float, nn.Module]:
    after = copy.deepcopy(lived_in(network))
    count = fold_batch_norms(after)
    return count, float((after(inputs) - network(inputs)).abs().max()), after


def test_a_folded_network_computes_the_same_function() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1, bias=False))
    network.extend([nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 5), nn.BatchNorm1d(5)])
    count, difference, after = folded(network, torch.randn(2, 3, 8, 8))
    assert count == 3
    assert difference < 1e-5
    assert not [layer for layer in after.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]


@pytest.mark.parametrize("network", [Branches(), Twice()], ids=lambda network: type(network).__name__)
def test_what_is_read_or_run_twice_is_left_alone(network: nn.Module) -> None:
    count, difference, _ = folded(network, torch.randn(2, 3, 8, 8))
    assert (count, difference) == (0, 0.0)


def test_a_norm_before_its_convolution_is_left_alone() -> None:
    count, difference, _ = folded(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)), torch.randn(2, 3, 8, 8))
    assert (count, difference) == (0, 0.0)


def test_timm_norms_with_an_activation_keep_it() -> None:
    layers = pytest.importorskip("timm.layers")
    network = nn.Sequential(nn.Conv2d(3, 4, 3), layers.BatchNormAct2d(4), nn.Conv2d(4, 4, 1))
    count, difference, after = folded(network, torch.randn(2, 3, 8, 8))
    assert count == 1
    assert difference < 1e-5
    assert any(isinstance(layer, nn.ReLU) for layer in after.modules())
