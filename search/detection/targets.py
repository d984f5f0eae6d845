"""Boxes of many images as tensors, and images fitted into one size without being stretched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from search.data.cache import Frame
from search.data.sample import Sample
from search.data.targets import Geometry, Rows
from search.data.transfer import sent
from search.records.study import Json

PADDING = -1
_GREY = 114
"""Brightness of the bars beside a letterboxed image, as in the training of YOLO networks."""
_LEAST_SEEN = 0.25
"""Share of a box that must be inside a crop for it to be learnt."""
_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class BoxRows(Rows):
    """Boxes of N images, padded to the most that one has.

    Attributes:
        boxes: ``(N, M, 4)`` float32, corners ``x0, y0, x1, y1`` as fractions of the network's input.
        labels: ``(N, M)`` int64, classes counted from 0; -1 for padding.
        crowd: ``(N, M)`` bool, regions of many objects: not trained on, not counted.
        shown: ``(N, 4)`` float32, the part of the original image that the input shows, as fractions of it.
    """

    boxes: Tensor
    labels: Tensor
    crowd: Tensor
    shown: Tensor

    def follow(self, geometry: Geometry) -> BoxRows:
        """Return the boxes of crops of the images; boxes with less than a quarter inside become padding."""
        moved = geometry.boxes(self.boxes)
        crop_area = sent(geometry.crops[:, 2] * geometry.crops[:, 3], moved.device).to(moved.dtype)
        seen = area(moved) * crop_area[:, None] / area(self.boxes).clamp(min=1e-12)
        labels = torch.where(seen >= _LEAST_SEEN, self.labels, torch.full_like(self.labels, PADDING))
        return replace(self, boxes=moved, labels=labels)

    def listed(self, size: tuple[int, int], first: int = 0) -> list[dict[str, Tensor]]:
        """Return the boxes of every image in the form of torchvision's detectors: in pixels of ``size``.

        Args:
            size: height and width of the network's input.
            first: number of the first class; 1 if 0 is the background.
        """
        height, width = size
        scale = sent(torch.tensor([width, height, width, height], dtype=self.boxes.dtype), self.boxes.device)
        targets = []
        for boxes, labels, crowd in zip(self.boxes * scale, self.labels, self.crowd, strict=True):
            kept = (labels != PADDING) & ~crowd & ((boxes[:, 2:] - boxes[:, :2]) > 0.5).all(dim=1)
            targets.append({"boxes": boxes[kept], "labels": labels[kept] + first})
        return targets


def area(boxes: Tensor) -> Tensor:
    """Return the areas of boxes ``(..., 4)``."""
    sides: Tensor = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return sides.prod(dim=-1)


def rows(samples: Sequence[Sample], frame: Frame) -> BoxRows:
    """Return the boxes of ``samples`` whose images are decoded in ``frame``."""
    most = max((len(sample.target.boxes) for sample in samples), default=0)
    shape = (len(samples), max(most, 1))
    boxes, labels = torch.zeros(*shape, 4), torch.full(shape, PADDING, dtype=torch.int64)
    crowd, shown = torch.zeros(shape, dtype=torch.bool), torch.zeros(len(samples), 4)
    for index, sample in enumerate(samples):
        left, top, right, bottom = frame.shown(sample.target.width, sample.target.height)
        shown[index] = torch.tensor([left, top, right, bottom])
        for number, box in enumerate(sample.target.boxes):
            sides = [(box.left - left) / (right - left), (box.top - top) / (bottom - top)]
            sides += [(box.right - left) / (right - left), (box.bottom - top) / (bottom - top)]
            boxes[index, number] = torch.tensor(sides).clamp(0, 1)
            labels[index, number], crowd[index, number] = box.label, box.is_crowd
    return BoxRows(boxes, labels, crowd, shown)


@dataclass(frozen=True, slots=True)
class Stretched(Frame):
    """The whole image, for training and validation alike, scaled to the network's input."""


@dataclass(frozen=True, slots=True)
class Letterboxed(Frame):
    """The whole image with its proportions kept, and grey bars where it does not fill the network's input."""

    @property
    def fit(self) -> str:
        return "letterbox"

    @property
    def key(self) -> list[Json]:
        return [*Frame.key.fget(self), "letterbox"]  # type: ignore[attr-defined]  # slots leave super() without a cell

    @property
    def extra(self) -> tuple[Json, ...]:
        return ("letterbox",)

    def shown(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return the part of the image that the array shows: beyond the whole of it if there are bars."""
        inner_width, inner_height, left, top = self._inner(width, height)
        x0, y0 = -left / inner_width, -top / inner_height
        return x0, y0, x0 + self.shape[1] / inner_width, y0 + self.shape[0] / inner_height

    def render(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return ``image`` as ``(3, H, W)``."""
        height, width = self.shape
        inner_width, inner_height, left, top = self._inner(image.width, image.height)
        canvas = Image.new("RGB", (width, height), (_GREY,) * 3)
        method = _RESAMPLING.get(self.interpolation, Image.Resampling.BILINEAR)
        canvas.paste(image.resize((inner_width, inner_height), method), (left, top))
        return np.ascontiguousarray(np.asarray(canvas).transpose(2, 0, 1))

    def _inner(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return width, height, left and top of the scaled image in the array, in pixels."""
        scale = min(self.shape[1] / width, self.shape[0] / height)
        inner = max(round(width * scale), 1), max(round(height * scale), 1)
        return *inner, (self.shape[1] - inner[0]) // 2, (self.shape[0] - inner[1]) // 2


def frame_of(kind: str, size: tuple[int, int], interpolation: str) -> Frame:
    """Return the frame of images that are to be ``stretch``ed or ``letterbox``ed."""
    made: Any = Letterboxed if kind == "letterbox" else Stretched
    frame: Frame = made(size, size, interpolation, whole=True)
    return frame
