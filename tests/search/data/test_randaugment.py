from __future__ import annotations

import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import RandAugment

from search.data import randaugment
from search.data.randaugment import OPERATIONS, Operations

NAMES = dict(zip(OPERATIONS, RandAugment._AUGMENTATION_SPACE, strict=True))
SIZE = (12, 16)


def pictures(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("magnitude", [0, 9, 21, 30])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_on_a_batch_is_torchvisions_on_every_image(name: str, magnitude: int) -> None:
    images, signs = pictures(4), torch.tensor([[1], [-1], [-1], [1]])
    kinds = torch.full((4, 1), list(OPERATIONS).index(name))
    found = Operations(kinds, signs, magnitude, SIZE).apply(images)
    reference = RandAugment()
    space, signed = reference._AUGMENTATION_SPACE[NAMES[name]]
    magnitudes = space(31, *SIZE)
    much = 0.0 if magnitudes is None else float(magnitudes[magnitude])
    for image, sign, own in zip(images, signs.flatten().tolist(), found, strict=True):
        expected = reference._apply_image_or_video_transform(
            image, NAMES[name], much * sign if signed else much, interpolation=InterpolationMode.NEAREST, fill={}
        )
        # The strength is a float32 there: values may round the other way.
        assert (own.int() - expected.int()).abs().max() <= 1


def test_operations_and_signs_are_equally_likely() -> None:
    drawn = randaugment.draw(14_000, 2, 9, SIZE, torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn.kinds.flatten(), minlength=len(OPERATIONS)).float()
    torch.testing.assert_close(counts, torch.full_like(counts, 2000.0), rtol=0.1, atol=0)
    assert abs(drawn.signs.float().mean().item()) < 0.02


def test_what_happens_to_an_image_does_not_depend_on_its_batch() -> None:
    images = pictures(10)
    drawn = randaugment.draw(10, 2, 9, SIZE, torch.Generator().manual_seed(1))
    whole = drawn.apply(images)
    for chosen in (torch.tensor([3]), torch.tensor([7, 0, 3])):
        assert torch.equal(drawn.of(chosen).apply(images[chosen]), whole[chosen])
