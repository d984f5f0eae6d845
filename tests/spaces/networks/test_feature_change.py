from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from spaces.backbones._base import Pretrained
from spaces.networks.feature_change import feature_change


def test_the_same_chain_does_not_move(tiny: Pretrained) -> None:
    assert feature_change(tiny.chain, tiny.chain, torch.randn(2, 3, 16, 16)) == 0


def test_a_change_is_measured_relative_to_the_features(tiny: Pretrained) -> None:
    last = tiny.chain.units[-1]

    class Twice(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * last.module(x)

    changed = tiny.chain.with_unit(len(tiny.chain) - 1, replace(last, module=Twice()))
    assert feature_change(tiny.chain, changed, torch.randn(2, 3, 16, 16)) == pytest.approx(1)


def test_other_shapes_cannot_be_compared(tiny: Pretrained) -> None:
    shorter = replace(tiny.chain, units=tiny.chain.units[:-1])
    assert feature_change(tiny.chain, shorter, torch.randn(2, 3, 16, 16)) is None


def test_images_are_scaled_for_a_chain_of_another_size(tiny: Pretrained) -> None:
    images = torch.randn(2, 3, 16, 16)
    moved = feature_change(tiny.chain, replace(tiny.chain, input_size=(32, 32)), images)
    assert moved is not None
    assert moved > 0


def test_the_mode_is_left_as_it_was(tiny: Pretrained) -> None:
    tiny.chain.train()
    feature_change(tiny.chain, tiny.chain, torch.randn(2, 3, 16, 16))
    assert all(unit.module.training for unit in tiny.chain)
