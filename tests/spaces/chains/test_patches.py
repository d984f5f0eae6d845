from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from spaces import backbones
from spaces.chains import probe
from spaces.chains.patches import patch_grid, prefix_tokens
from spaces.decisions.head import attachment
from spaces.errors import SurgeryError
from spaces.heads import MapLayout
from spaces.surgery.edits import patch_embedding

needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="needs timm")


@pytest.mark.parametrize(
    ("tokens", "prefix", "size", "grid"),
    [
        (197, 1, (224, 224), (14, 14)),
        (21, 5, (64, 64), (4, 4)),
        (20, 4, (64, 64), (4, 4)),
        (9, 5, (32, 32), (2, 2)),
        (68, 4, (128, 128), (8, 8)),
        (46 * 46 + 4, 4, (736, 736), (46, 46)),
        (29, 5, (64, 96), (4, 6)),
        (196, 1, (224, 224), (14, 14)),  # the class token comes in a later unit
        (9, 0, (70, 84), (3, 3)),
    ],
)
def test_the_last_tokens_are_the_grid_of_patches(
    tokens: int, prefix: int, size: tuple[int, int], grid: tuple[int, int]
) -> None:
    assert patch_grid(tokens, size, prefix) == grid


def test_tokens_that_are_not_a_grid_of_square_patches_are_refused() -> None:
    with pytest.raises(SurgeryError, match="98 tokens are not a grid of square patches of an image of 224x224 pixels"):
        patch_grid(98, (224, 224), 0)
    with pytest.raises(SurgeryError, match="pixels behind 5 others"):
        patch_grid(20, (64, 64), 5)


def test_a_class_token_alone_comes_first_where_a_family_says_no_more() -> None:
    assert prefix_tokens({"class_token": 0}) == 1
    assert prefix_tokens({}) == 0
    assert prefix_tokens({"class_token": 0, "prefix_tokens": 5}) == 5


def own_grid(network: nn.Module, size: tuple[int, int]) -> tuple[int, int]:
    """The shape of the map that the network's own patch embedding computes."""
    path = patch_embedding(network)
    assert path is not None
    rows, columns = network.get_submodule(path)(torch.zeros(1, 3, *size)).shape[-2:]
    return rows, columns


FAMILIES = {
    "vit_b_32": (64, 96),
    "timm:vit_tiny_patch16_224": (96, 64),
    "timm:vit_small_patch14_reg4_dinov2": (70, 98),
    "timm:vit_small_patch16_dinov3": (64, 64),
    "timm:vit_medium_patch16_reg4_gap_256": (64, 64),
    "timm:deit_tiny_distilled_patch16_224": (64, 80),
    "timm:cait_xxs24_224": (96, 96),
    "timm:test_vit3": (96, 160),
}


@needs_timm
@pytest.mark.parametrize("name", FAMILIES)
def test_maps_and_distances_of_patches_are_those_of_the_networks_own_patch_embedding(name: str) -> None:
    size = FAMILIES[name]
    backbone = backbones.resolve(name)
    network = backbone.build(size)
    chain = backbone.describe(size)
    grid = own_grid(network, size)
    tokens = [facts for facts in probe.describe(chain) if len(facts.out_shape) == 2]
    assert tokens
    assert {facts.reduction for facts in tokens} == {size[0] // grid[0]}
    assert attachment(chain).taps[-1].grid == grid


@needs_timm
@pytest.mark.parametrize("name", ["vit_small_patch16_dinov3", "vit_small_patch14_reg4_dinov2", "cait_xxs24_224"])
def test_a_map_has_the_patches_in_the_networks_own_order(name: str) -> None:
    size = (70, 84) if "patch14" in name else (64, 64)
    pretrained = backbones.resolve(f"timm:{name}").pretrained("none", size)
    network: Any = backbones.resolve(f"timm:{name}").build(size).eval()
    network.load_state_dict(pretrained.chain.state_dict())
    images = torch.randn(2, 3, *size)
    place = max(index for index, unit in enumerate(pretrained.chain) if f"{unit.name}.".startswith("blocks.2."))
    chain = replace(pretrained.chain, units=pretrained.chain.units[: place + 1]).train(False)
    with torch.no_grad():
        (expected,) = network.forward_intermediates(images, indices=[2], intermediates_only=True)
        torch.testing.assert_close(MapLayout(attachment(chain).taps[-1])(chain.forward(images)), expected)
