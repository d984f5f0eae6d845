from __future__ import annotations

import torch
from torch import nn

from spaces.decoders._base import Plan
from spaces.decoders.unet import decoder
from spaces.heads import Tap


def test_every_stage_is_joined_with_the_backbones_maps_and_halves_its_width() -> None:
    taps = tuple(
        Tap(place, str(reduction), reduction, (4 + place, 64 // reduction, 64 // reduction))
        for place, reduction in enumerate((2, 4, 16))
    )
    assert decoder.taps(taps) == taps
    built = decoder.build(Plan(taps, 3, 64, 1, "transposed")).eval()
    channels = [module.in_channels for module in built.modules() if isinstance(module, nn.Conv2d)]
    assert channels == [6 + 5, 64 + 4, 32]
    # From stride 16 to 4 in two steps, from 4 to 2 in one.
    assert sum(isinstance(module, nn.ConvTranspose2d) for module in built.modules()) == 3
    maps = tuple(torch.randn(1, *tap.shape) for tap in taps)
    found = built(maps)
    assert found.shape == (1, 3, 32, 32)
    changed = (maps[0] + 1, *maps[1:])
    assert not torch.allclose(built(changed), found)


def test_a_backbone_of_one_resolution_has_no_stage_to_join() -> None:
    built = decoder.build(Plan((Tap(0, "x", 16, (4, 4, 4)),), 3, 32, 2)).eval()
    assert built((torch.randn(1, 4, 4, 4),)).shape == (1, 3, 4, 4)
