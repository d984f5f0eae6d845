"""Targets of many samples at once: a tensor, or several tensors that belong together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from search.data.transfer import sent


@dataclass(frozen=True, slots=True)
class Geometry:
    """How the images of a batch were cropped and mirrored, for targets with positions in the image.

    Attributes:
        crops: ``(centre x, centre y, width, height)`` in fractions of the decoded image, ``(N, 4)``.
        flips: 1 where the crop is mirrored from left to right, ``(N,)``.
        size: height and width of the crops in pixels.
    """

    crops: Tensor
    flips: Tensor
    size: tuple[int, int]

    def boxes(self, boxes: Tensor) -> Tensor:
        """Return ``boxes`` (corners ``(N, M, 4)`` as fractions of the image) as fractions of the crop.

        Boxes are clipped to the crop: one that lies outside altogether has no area left.
        """
        crops = sent(self.crops, boxes.device).to(boxes.dtype)[:, None]
        flips = sent(self.flips, boxes.device).to(boxes.dtype)[:, None, None]
        corner = crops[..., :2] - crops[..., 2:] / 2
        moved = (boxes - corner.repeat(1, 1, 2)) / crops[..., 2:].repeat(1, 1, 2)
        mirrored = torch.stack([1 - moved[..., 2], moved[..., 1], 1 - moved[..., 0], moved[..., 3]], dim=-1)
        return (moved * (1 - flips) + mirrored * flips).clamp(0, 1)

    def masks(self, masks: Tensor) -> Tensor:
        """Return the crops ``(N, h, w)`` of class masks ``(N, H, W)``, by nearest neighbour; the type is kept."""
        theta = torch.zeros(len(masks), 2, 3)
        crops, flips = self.crops.cpu(), self.flips.cpu()
        theta[:, 0, 0] = crops[:, 2] * (1.0 - 2.0 * flips)
        theta[:, 1, 1] = crops[:, 3]
        theta[:, :, 2] = 2 * crops[:, :2] - 1
        grid = F.affine_grid(sent(theta, masks.device), [len(masks), 1, *self.size], align_corners=False)
        # float32 is exact for class numbers, which are far below 2^24.
        warped = F.grid_sample(masks[:, None].float(), grid, mode="nearest", padding_mode="border", align_corners=False)
        return warped.squeeze(1).to(masks.dtype)


@dataclass(frozen=True)
class Rows:
    """Targets made of several tensors, each with the samples as its first axis.

    A task's own kind is a frozen dataclass that derives from this one and whose fields are tensors, padded where
    samples have different numbers of something: ``boxes (N, M, 4)`` with ``labels (N, M)``, -1 for padding.
    """

    def __len__(self) -> int:
        return len(next(iter(self._tensors().values())))

    def __getitem__(self, piece: slice) -> Self:
        """Return the targets of the samples in ``piece``."""
        return self._each(lambda tensor: tensor[piece])

    def index_select(self, dim: int, index: Tensor) -> Self:
        """Return the targets of the samples at ``index``; ``dim`` is 0, as for tensors."""
        there = {device: sent(index, device) for device in {tensor.device for tensor in self._tensors().values()}}
        return self._each(lambda tensor: tensor.index_select(dim, there[tensor.device]))

    def to(self, device: torch.device) -> Self:
        return self._each(lambda tensor: tensor.to(device))

    def follow(self, geometry: Geometry) -> Self:
        """Return the targets of crops of the images; unchanged if they have no positions in the image."""
        return self

    def _tensors(self) -> dict[str, Tensor]:
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in named.items() if isinstance(value, Tensor)}

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        return replace(self, **{name: change(tensor) for name, tensor in self._tensors().items()})


Targets = Tensor | Rows
