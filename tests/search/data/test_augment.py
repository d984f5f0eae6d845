from __future__ import annotations

import math

import pytest
import torch
from torchvision.transforms import RandomResizedCrop

from search.data import augment


@pytest.mark.parametrize("size", [(60, 60), (40, 100), (90, 30)])
def test_crops_have_the_distribution_of_torchvisions(size: tuple[int, int]) -> None:
    height, width = size
    scale, ratio, count = (0.2, 1.0), (3 / 4, 4 / 3), 4000
    torch.manual_seed(0)
    image = torch.zeros(3, height, width)
    expected = torch.tensor(
        [RandomResizedCrop.get_params(image, list(scale), list(ratio)) for _ in range(count)]
    ).double()
    top, left, high, wide = expected.T
    boxes = augment.crop_boxes(
        count, torch.full((count,), width / height), scale, ratio, torch.Generator().manual_seed(0)
    )
    found = {
        "width": (boxes[:, 2] * width, wide),
        "height": (boxes[:, 3] * height, high),
        "x": (boxes[:, 0] * width, left + wide / 2),
        "y": (boxes[:, 1] * height, top + high / 2),
    }
    for name, (ours, theirs) in found.items():
        assert ours.mean().item() == pytest.approx(theirs.mean().item(), rel=0.03, abs=0.7), name
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.08, abs=0.7), name


def test_crops_stay_inside_the_image() -> None:
    ratios = torch.rand(2000) * 4 + 0.1
    boxes = augment.crop_boxes(2000, ratios, (0.08, 1.0), (3 / 4, 4 / 3), torch.Generator().manual_seed(1))
    assert (boxes[:, 0] - boxes[:, 2] / 2 >= -1e-5).all()
    assert (boxes[:, 0] + boxes[:, 2] / 2 <= 1 + 1e-5).all()
    assert (boxes[:, 3] <= 1 + 1e-5).all()


def test_the_whole_image_is_cropped_to_itself_and_mirrored_on_demand() -> None:
    images = torch.rand(2, 3, 8, 6)
    boxes = torch.tensor([[0.5, 0.5, 1.0, 1.0]]).repeat(2, 1)
    found = augment.sample_crops(images, boxes, torch.tensor([0.0, 1.0]), (8, 6))
    torch.testing.assert_close(found[0], images[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[1], images[1].flip(-1), atol=1e-5, rtol=1e-5)


def test_the_central_box_is_what_validation_cuts() -> None:
    boxes = augment.central_boxes(1, torch.tensor([2.0]), (224, 224), (256, 256))
    torch.testing.assert_close(boxes[0, 2:], torch.tensor([224 / 512, 224 / 256]))


def test_jitter_of_nothing_changes_nothing() -> None:
    images = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(augment.jitter_colours(images, 0.0, torch.Generator()), images)


def test_flips_can_be_switched_off() -> None:
    assert augment.preset("strong", flip=False).flip == 0.0
    assert augment.preset("light", flip=True).flip == 0.5
    assert math.isclose(augment.preset("strong", flip=True).jitter, 0.4)
