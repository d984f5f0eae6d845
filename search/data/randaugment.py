"""RandAugment for batches (https://arxiv.org/abs/1909.13719): torchvision's operations, images grouped by operation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from search.data.transfer import sent

BINS = 31
"""Magnitudes go from 0 to 30, as in torchvision."""
_NO_SHEAR, _NO_SHIFT = [0.0, 0.0], [0, 0]
_NEAREST = InterpolationMode.NEAREST


def _affine(images: Tensor, shift: list[int], shear: list[float]) -> Tensor:
    moved: Tensor = F.affine(
        images, angle=0.0, translate=shift, scale=1.0, shear=shear, interpolation=_NEAREST, center=[0, 0]
    )
    return moved


def _degrees(slope: float) -> float:
    return math.degrees(math.atan(slope))


OPERATIONS: Mapping[str, Callable[[Tensor, float], Tensor]] = {
    "identity": lambda images, _: images,
    "shear_x": lambda images, much: _affine(images, _NO_SHIFT, [_degrees(much), 0.0]),
    "shear_y": lambda images, much: _affine(images, _NO_SHIFT, [0.0, _degrees(much)]),
    "translate_x": lambda images, much: F.affine(images, 0.0, [int(much), 0], 1.0, _NO_SHEAR, _NEAREST),
    "translate_y": lambda images, much: F.affine(images, 0.0, [0, int(much)], 1.0, _NO_SHEAR, _NEAREST),
    "rotate": lambda images, much: F.rotate(images, much, interpolation=_NEAREST),
    "brightness": lambda images, much: F.adjust_brightness(images, 1.0 + much),
    "color": lambda images, much: F.adjust_saturation(images, 1.0 + much),
    "contrast": lambda images, much: F.adjust_contrast(images, 1.0 + much),
    "sharpness": lambda images, much: F.adjust_sharpness(images, 1.0 + much),
    "posterize": lambda images, much: F.posterize(images, int(much)),
    "solarize": lambda images, much: F.solarize(images, 255.0 * much),
    "autocontrast": lambda images, _: F.autocontrast(images),
    "equalize": lambda images, _: F.equalize(images),
}
"""Name -> the operation on uint8 images ``(N, 3, H, W)`` at one strength."""
_SIGNED = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness", "color", "contrast", "sharpness")


def strength(name: str, magnitude: int, size: tuple[int, int]) -> float:
    """Return the strength of an operation at ``magnitude`` of 0 to 30 on images of ``size``, without its sign."""
    part = magnitude / (BINS - 1)
    height, width = size
    most = {
        "shear_x": 0.3,
        "shear_y": 0.3,
        "translate_x": 150.0 / 331.0 * width,
        "translate_y": 150.0 / 331.0 * height,
        "rotate": 30.0,
    }
    if name == "posterize":
        return float(round(8 - magnitude / ((BINS - 1) / 4)))
    if name == "solarize":
        return 1.0 - part
    return most.get(name, 0.9) * part


@dataclass(frozen=True, slots=True)
class Operations:
    """The operations that each of N images goes through.

    Attributes:
        kinds: numbers of ``OPERATIONS``, ``(N, rounds)``; ``signs`` are 1 or -1 for each.
    """

    kinds: Tensor
    signs: Tensor
    magnitude: int
    size: tuple[int, int]

    def of(self, chosen: Tensor) -> Operations:
        """Return the operations of the images at the indices ``chosen``."""
        return Operations(self.kinds[chosen], self.signs[chosen], self.magnitude, self.size)

    @classmethod
    def joined(cls, parts: Sequence[Operations]) -> Operations:
        """Return the operations of the images of all ``parts``, one after the other."""
        kinds, signs = (torch.cat(column) for column in zip(*((part.kinds, part.signs) for part in parts), strict=True))
        return replace(parts[0], kinds=kinds, signs=signs)

    def apply(self, images: Tensor) -> Tensor:
        """Return uint8 ``images`` ``(N, 3, H, W)`` after all rounds; images are grouped by operation."""
        for turn in range(self.kinds.shape[1]):
            images = self._round(images, turn)
        return images

    def _round(self, images: Tensor, turn: int) -> Tensor:
        result = images.clone()
        for kind, (name, operation) in enumerate(OPERATIONS.items()):
            much = strength(name, self.magnitude, self.size)
            for sign in (1, -1):
                chosen = ((self.kinds[:, turn] == kind) & (self.signs[:, turn] == sign)).nonzero().squeeze(1)
                if name != "identity" and len(chosen):
                    index = sent(chosen, images.device)
                    result[index] = operation(images[index], much * sign if name in _SIGNED else much)
        return result


def draw(count: int, rounds: int, magnitude: int, size: tuple[int, int], generator: torch.Generator) -> Operations:
    """Return ``rounds`` operations for each of ``count`` images of ``size``, drawn uniformly, as are signs."""
    kinds = torch.randint(len(OPERATIONS), (count, rounds), generator=generator)
    signs = torch.randint(2, (count, rounds), generator=generator) * 2 - 1
    return Operations(kinds, signs, magnitude, size)
