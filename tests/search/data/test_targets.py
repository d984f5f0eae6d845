"""Targets that lie in the image go where the image goes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from search.data.augment import preset
from search.data.batches import Batches
from search.data.cache import Pixels
from search.data.targets import Geometry, Rows


@dataclass(frozen=True)
class Marked(Rows):
    """A mask and a box for each image."""

    masks: Tensor
    boxes: Tensor

    def follow(self, geometry: Geometry) -> Marked:
        return Marked(geometry.masks(self.masks), geometry.boxes(self.boxes))


def squares(count: int = 12, side: int = 64) -> tuple[Tensor, Marked]:
    """Black images with a white square each, its mask and its box."""
    random = torch.Generator().manual_seed(3)
    images = torch.zeros(count, 3, side, side, dtype=torch.uint8)
    boxes = torch.zeros(count, 1, 4)
    for number in range(count):
        left, top = torch.randint(4, 30, (2,), generator=random).tolist()
        images[number, :, top : top + 24, left : left + 28] = 255
        boxes[number, 0] = torch.tensor([left, top, left + 28, top + 24]) / side
    return images, Marked((images[:, 0] > 0).long(), boxes)


def batches(strength: str | None) -> Batches:
    images, marked = squares()
    return Batches(
        pixels=Pixels(images, marked, torch.ones(len(images))),
        batch_size=5,
        device=torch.device("cpu"),
        size=(48, 48),
        resize=(64, 64),
        mean=(0.0, 0.0, 0.0),
        std=(1 / 255, 1 / 255, 1 / 255),
        augmentation=preset(strength, flip=True) if strength else None,
        shuffle=True,
    )


@pytest.mark.parametrize("strength", ["none", "light"])
def test_masks_and_boxes_move_with_crops_and_flips(strength: str) -> None:
    for images, marked in batches(strength).epoch(2):
        assert isinstance(marked, Marked)
        bright = images[:, 0] > 127
        assert (bright == (marked.masks > 0)).float().mean() > 0.98
        for lit, box in zip(bright, marked.boxes[:, 0] * 48, strict=True):
            rows, columns = lit.any(dim=1).nonzero().flatten(), lit.any(dim=0).nonzero().flatten()
            if len(rows) == 0:
                assert (box[2] - box[0]) * (box[3] - box[1]) < 2
                continue
            found = torch.tensor([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            torch.testing.assert_close(box, found.float(), atol=1.01, rtol=0)


def test_what_is_not_augmented_stays_where_it_is() -> None:
    _, marked = squares()
    found = batches(None)
    part = found.targets(torch.tensor([3, 1]), 1)
    assert isinstance(part, Marked)
    assert torch.equal(part.masks, marked.masks[[3, 1]])
    assert torch.equal(part.boxes, marked.boxes[[3, 1]])


def test_targets_are_those_of_the_inputs_in_every_epoch() -> None:
    found = batches("medium")
    chosen = torch.tensor([0, 7, 2])
    first, second = found.targets(chosen, 1), found.targets(chosen, 2)
    assert isinstance(first, Marked)
    assert isinstance(second, Marked)
    assert not torch.equal(first.boxes, second.boxes)
    again = found.targets(chosen, 1)
    assert isinstance(again, Marked)
    assert torch.equal(first.boxes, again.boxes)


def test_rows_are_cut_like_tensors() -> None:
    _, marked = squares(6)
    assert len(marked) == 6
    assert torch.equal(marked[1:3].boxes, marked.boxes[1:3])
    assert torch.equal(marked.index_select(0, torch.tensor([5, 0])).masks, marked.masks[[5, 0]])
    assert marked.to(torch.device("cpu")).boxes.device.type == "cpu"
