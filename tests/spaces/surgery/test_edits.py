from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision import models

from spaces.errors import SurgeryError
from spaces.surgery import edits


def test_a_stride_switched_off_doubles_the_map_on_both_paths() -> None:
    block = models.resnet18().layer2[0].eval()
    images = torch.randn(1, 64, 8, 8)
    assert block(images).shape[-1] == 4
    changed = edits.remove_stride(block)
    assert changed(images).shape[-1] == 8
    assert block(images).shape[-1] == 4
    for own, other in zip(block.parameters(), changed.parameters(), strict=True):
        torch.testing.assert_close(own, other)


def test_a_two_by_two_pool_becomes_the_identity() -> None:
    changed = edits.remove_stride(nn.Sequential(nn.Conv2d(3, 3, 1), nn.MaxPool2d(2)))
    assert changed(torch.randn(1, 3, 8, 8)).shape[-1] == 8


def test_a_module_without_stride_has_nothing_to_switch_off() -> None:
    with pytest.raises(SurgeryError, match="no layer of stride 2"):
        edits.remove_stride(nn.Sequential(nn.Conv2d(3, 3, 3)))


def test_dilation_keeps_the_shape() -> None:
    module = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1))
    dilated = edits.dilate(module, {"0": 2, "1": 2})
    assert dilated(torch.randn(1, 3, 9, 9)).shape == (1, 3, 9, 9)
    assert dilated[0].dilation == (2, 2)
    assert dilated[1].dilation == (1, 1)


def test_an_even_kernel_without_padding_keeps_the_size_when_its_stride_goes() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 2, stride=2))
    changed = edits.remove_stride(module)
    images = torch.randn(1, 3, 8, 8)
    assert changed(images).shape[-2:] == (8, 8)
    torch.testing.assert_close(changed(images)[..., ::2, ::2], module(images))


def test_a_stride_of_four_becomes_two_and_patches_stay() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 11, stride=4, padding=2), nn.Conv2d(4, 4, 4, stride=4))
    assert edits.reducing(module) == ("0",)
    assert edits.remove_stride(module)[0].stride == (2, 2)


def test_a_place_without_stride_is_refused() -> None:
    with pytest.raises(SurgeryError, match="no layer of stride 2"):
        edits.remove_stride(nn.Sequential(nn.Conv2d(3, 3, 3, stride=2)), ["9"])


def test_a_mirror_shares_weights_and_not_structure() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    twin = edits.mirror(module)
    assert all(own is other for own, other in zip(module.parameters(), twin.parameters(), strict=True))
    assert all(own is other for own, other in zip(module.buffers(), twin.buffers(), strict=True))
    twin[0].stride = (2, 2)
    assert module[0].stride == (1, 1)


@pytest.mark.parametrize("patch", [8, 24, 32])
def test_resized_patches_see_resized_images_alike(patch: int) -> None:
    conv = nn.Conv2d(3, 5, 16, stride=16)
    assert edits.patch_embedding(nn.Sequential(conv)) == "0"
    changed = edits.resize_patches(conv, patch)
    images = nn.functional.interpolate(torch.rand(2, 3, 8, 8), size=(64, 64), mode="bilinear")
    scaled = nn.functional.interpolate(images, scale_factor=patch / 16, mode="bilinear", antialias=True)
    assert changed(scaled).shape == conv(images).shape
    error = (changed(scaled) - conv(images)).abs().max() / conv(images).abs().max()
    assert error < (0.02 if patch > 16 else 0.2)


def test_the_strongest_neurons_are_found() -> None:
    linear = nn.Linear(4, 6)
    with torch.no_grad():
        linear.weight[[1, 4]] *= 50
    kept = edits.strongest(linear, 2)
    assert kept.tolist() == [1, 4]
    x = torch.randn(3, 4)
    torch.testing.assert_close(edits.narrow_outputs(linear, kept)(x), linear(x)[:, kept])
    behind = nn.Linear(6, 2)
    y = torch.zeros(3, 6)
    y[:, kept] = torch.randn(3, 2)
    torch.testing.assert_close(edits.narrow_inputs(behind, kept)(y[:, kept]), behind(y))
