from __future__ import annotations

import math

import pytest
import torch
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms import functional as reference
from torchvision.transforms.v2 import CutMix, MixUp

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


def test_factors_of_one_change_no_colour() -> None:
    images = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(augment.scale_colours(images, torch.ones(2, 3)), images)


@pytest.mark.parametrize("factors", [(0.7, 1.0, 1.0), (1.0, 1.4, 1.0), (1.0, 1.0, 0.6), (1.2, 0.8, 1.3)])
def test_colours_change_as_torchvisions_do(factors: tuple[float, float, float]) -> None:
    # Values that no step pushes out of 0..1, where torchvision would cut them in between.
    images = torch.rand(3, 3, 6, 5) * 0.3 + 0.3
    expected = reference.adjust_brightness(images, factors[0])
    expected = reference.adjust_contrast(expected, factors[1])
    expected = reference.adjust_saturation(expected, factors[2])
    found = augment.scale_colours(images, torch.tensor([factors] * 3))
    # torchvision's weights of grey are rounded to 4 digits in one place and to 3 in another.
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize("strength", ["light", "strong", "randaugment"])
def test_what_happens_to_an_image_does_not_depend_on_its_batch(strength: str) -> None:
    images, size = torch.randint(0, 256, (6, 3, 9, 9), dtype=torch.uint8), (8, 8)
    augmentation = augment.preset(strength, flip=True)
    drawn = augmentation.draw(torch.ones(6), size, (9, 9), torch.Generator().manual_seed(4))
    whole, chosen = drawn.apply(images, size), torch.tensor([4, 1])
    torch.testing.assert_close(drawn.of(chosen).apply(images[chosen], size), whole[chosen])


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_images_and_labels_are_mixed_in_the_same_proportion(kind: str) -> None:
    labels = torch.arange(4)
    images = labels.float().reshape(4, 1, 1, 1).expand(4, 3, 16, 16)
    for seed in range(20):
        mixed, targets = augment.Mix(kind, 0.8).apply(images, labels, 4, torch.Generator().manual_seed(seed))
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(4))
        torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), (targets * torch.arange(4.0)).sum(dim=1))


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_shares_have_the_distribution_of_torchvisions(kind: str) -> None:
    theirs = (MixUp if kind == "mixup" else CutMix)(alpha=0.8, num_classes=2)
    ours = augment.Mix(kind, 0.8)
    images, labels = torch.zeros(2, 3, 16, 16), torch.tensor([0, 1])
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    shares = torch.stack(
        [
            torch.stack([ours.apply(images, labels, 2, generator)[1][0, 0], theirs(images, labels)[1][0, 0]])
            for _ in range(2000)
        ]
    )
    mean, spread = shares.mean(dim=0), shares.std(dim=0)
    assert mean[0].item() == pytest.approx(mean[1].item(), abs=0.03)
    assert spread[0].item() == pytest.approx(spread[1].item(), abs=0.03)


def test_flips_can_be_switched_off() -> None:
    assert augment.preset("strong", flip=False).flip == 0.0
    assert augment.preset("light", flip=True).flip == 0.5
    assert math.isclose(augment.preset("strong", flip=True).jitter, 0.4)
