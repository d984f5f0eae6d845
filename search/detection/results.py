"""Predicted boxes of a detector from any file: compared box by box, as fractions of the original image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from search.detection.detectors import Detections
from search.errors import UserError

_NEAR = 0.01
"""Largest difference of a side (as a fraction of the input) or a score between boxes that count as equal."""


class Apart(NamedTuple):
    """How the boxes of an image compare with others: the ``largest`` difference, and how many have no counterpart."""

    largest: float
    lost: int


def found_in(outputs: Any) -> Detections:
    """Return the outputs of a detector or its graph of fixed shapes, on the CPU in float32.

    Raises:
        UserError: it is neither.
    """
    if isinstance(outputs, Detections):
        return Detections(tuple({name: _plain(value) for name, value in one.items()} for one in outputs.images))
    if not isinstance(outputs, tuple | list) or len(outputs) != 3:
        raise UserError(f"expected boxes, scores and labels from a detector, got {type(outputs).__name__}")
    images = []
    for boxes, scores, labels in zip(*map(_plain, outputs), strict=True):
        there = scores > 0
        images.append({"boxes": boxes[there], "scores": scores[there], "labels": labels[there]})
    return Detections(tuple(images))


def _plain(value: Tensor) -> Tensor:
    value = value.detach().cpu()
    return value.float() if value.is_floating_point() else value


def in_image(rows: Mapping[str, Tensor], shown: Sequence[float] | Tensor) -> dict[str, Tensor]:
    """Return one image's predictions with boxes ``(K, 4)`` as fractions of the image, clipped at its border.

    Boxes outside the image, in a letterbox's bars, are left out.

    Args:
        rows: ``boxes`` as fractions of the network's input, and any other rows.
        shown: the part of the image that the input shows, as fractions of the image.
    """
    boxes = rows["boxes"]
    left, top, right, bottom = torch.as_tensor(shown, dtype=boxes.dtype, device=boxes.device).unbind()
    start, size = torch.stack([left, top, left, top]), torch.stack([right - left, bottom - top] * 2)
    sides = (start + boxes * size).clamp(0, 1)
    there = (sides[:, 2:] > sides[:, :2]).all(dim=1)
    return {name: (sides if name == "boxes" else value)[there] for name, value in rows.items()}


def apart(boxes: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Apart:
    """Return how the ``boxes`` of an image compare with the ``expected`` ones, in fractions and probabilities."""
    count, total = len(boxes["scores"]), len(expected["scores"])
    if not count or not total:
        return Apart(0.0, max(count, total))
    gaps = (expected["boxes"][:, None] - boxes["boxes"][None]).abs().amax(dim=-1)
    gaps = torch.maximum(gaps, (expected["scores"][:, None] - boxes["scores"][None]).abs())
    gaps = gaps.masked_fill(expected["labels"][:, None] != boxes["labels"][None], 1.0)
    nearest = gaps.amin(dim=1)
    same = nearest <= _NEAR
    partners = int((gaps.amin(dim=0) <= _NEAR).sum())
    largest = float(nearest[same].max()) if bool(same.any()) else 0.0
    return Apart(largest, max(total - int(same.sum()), count - partners))
