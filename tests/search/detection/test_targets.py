from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from PIL import Image

from search.data.boxes import BoxTarget, GroundTruthBox
from search.data.sample import Sample, Split
from search.data.targets import Geometry
from search.detection.targets import BoxRows, frame_of, rows


@dataclass(frozen=True)
class Source:
    name: str = "drawn"

    def open(self) -> Image.Image:
        return Image.new("RGB", (40, 20), (250, 0, 0))

    def digest(self) -> bytes:
        return b""


def sample(*boxes: GroundTruthBox, size: tuple[int, int] = (40, 20)) -> Sample:
    return Sample(Source(), BoxTarget(*size, boxes), Split.TRAIN)


def test_a_stretched_image_keeps_its_boxes_shares() -> None:
    frame = frame_of("stretch", (32, 32), "bilinear")
    found = rows([sample(GroundTruthBox(1, 0.1, 0.2, 0.5, 0.6)), sample()], frame)
    assert frame.render(Source().open()).shape == (3, 32, 32)
    assert found.boxes[0, 0].tolist() == pytest.approx([0.1, 0.2, 0.5, 0.6])
    assert found.labels.tolist() == [[1], [-1]]


def test_a_letterboxed_image_has_bars_and_its_boxes_move_with_it() -> None:
    frame = frame_of("letterbox", (32, 32), "bilinear")
    pixels = frame.render(Source().open())
    assert pixels.shape == (3, 32, 32)
    assert pixels[:, 4, 16].tolist() == [114, 114, 114]
    assert pixels[:, 16, 1].tolist() == [250, 0, 0]
    found = rows([sample(GroundTruthBox(0, 0.0, 0.0, 1.0, 1.0))], frame)
    assert found.boxes[0, 0].tolist() == pytest.approx([0, 0.25, 1, 0.75])
    left, top, right, bottom = found.shown[0].tolist()
    assert (left, top, right, bottom) == pytest.approx((0, -0.5, 1, 1.5))
    assert frame.key != frame_of("stretch", (32, 32), "bilinear").key
    assert frame.extra != frame_of("stretch", (32, 32), "bilinear").extra


def test_boxes_follow_crops_and_flips_and_are_dropped_when_hardly_seen() -> None:
    boxes = torch.tensor([[[0.5, 0.0, 1.0, 0.5], [0.0, 0.0, 0.55, 0.2], [0.0, 0.0, 0.0, 0.0]]])
    whole = BoxRows(boxes, torch.tensor([[2, 1, -1]]), torch.zeros(1, 3, dtype=torch.bool), torch.zeros(1, 4))
    geometry = Geometry(torch.tensor([[0.75, 0.5, 0.5, 1.0]]), torch.ones(1), (16, 16))
    found = whole.follow(geometry)
    assert found.labels.tolist() == [[2, -1, -1]]
    assert found.boxes[0, 0].tolist() == pytest.approx([0, 0, 1, 0.5])


def test_detectors_get_pixels_without_padding_crowds_and_specks() -> None:
    boxes = torch.tensor([[[0, 0, 0.5, 0.5], [0.2, 0.2, 0.4, 0.4], [0, 0, 0.001, 1.0], [0, 0, 0, 0]]])
    crowd = torch.tensor([[False, True, False, False]])
    (found,) = BoxRows(boxes, torch.tensor([[3, 1, 1, -1]]), crowd, torch.zeros(1, 4)).listed((40, 80), first=1)
    assert found["boxes"].tolist() == [[0, 0, 40, 20]]
    assert found["labels"].tolist() == [4]
