"""Augmentation of whole batches on their device, with the distributions of torchvision's transforms.

The parameters of all images are drawn at once and applied batch by batch, so that results depend neither on the
batch size nor on the order of the images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from search.data import randaugment
from search.data.randaugment import Operations
from search.data.transfer import sent


@dataclass(frozen=True, slots=True)
class Augmentation:
    """The augmentations and their strengths.

    Attributes:
        scale: fraction of the image's area that a random crop covers; None takes the centre, as in validation.
        ratio: range of the crop's aspect ratio.
        flip: probability of mirroring.
        jitter: largest change of brightness, contrast and saturation, as a factor around 1.
        operations: how many of RandAugment's operations each image goes through, at ``magnitude`` of 0 to 30.
    """

    scale: tuple[float, float] | None = None
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.0
    jitter: float = 0.0
    operations: int = 0
    magnitude: int = 9

    @property
    def is_random(self) -> bool:
        """Whether two views of an image can differ."""
        return self.scale is not None or bool(self.flip or self.jitter or self.operations)

    def draw(
        self, ratios: Tensor, size: tuple[int, int], resize: tuple[int, int], generator: torch.Generator
    ) -> DrawnAugmentation:
        """Return the parameters drawn for each of N images; ``ratios`` ``(N,)`` are their widths over their heights."""
        count = len(ratios)
        if self.scale is None:
            boxes = central_boxes(count, ratios, size, resize)
        else:
            boxes = crop_boxes(count, ratios, self.scale, self.ratio, generator)
        flips = (torch.rand(count, generator=generator) < self.flip).float()
        factors = None
        if self.jitter:
            factors = torch.empty(count, 3).uniform_(1 - self.jitter, 1 + self.jitter, generator=generator)
        operations = None
        if self.operations:
            operations = randaugment.draw(count, self.operations, self.magnitude, size, generator)
        return DrawnAugmentation(boxes, flips, factors, operations)


@dataclass(frozen=True, slots=True)
class DrawnAugmentation:
    """The augmentation parameters drawn for each of N images.

    Attributes:
        boxes: crops as ``(centre x, centre y, width, height)`` in fractions of the image, ``(N, 4)``.
        flips: 1 where the crop is mirrored, ``(N,)``.
        factors: of brightness, contrast and saturation, ``(N, 3)``; None leaves colours alone.
        operations: RandAugment's, applied last; None for none.
    """

    boxes: Tensor
    flips: Tensor
    factors: Tensor | None = None
    operations: Operations | None = None

    def of(self, chosen: Tensor) -> DrawnAugmentation:
        """Return the parameters of the images at the indices ``chosen``."""
        return DrawnAugmentation(
            self.boxes[chosen],
            self.flips[chosen],
            None if self.factors is None else self.factors[chosen],
            None if self.operations is None else self.operations.of(chosen),
        )

    @classmethod
    def joined(cls, parts: Sequence[DrawnAugmentation]) -> DrawnAugmentation:
        """Return the parameters of the images of all ``parts``, drawn by one augmentation, one after the other."""
        factors = [part.factors for part in parts if part.factors is not None]
        operations = [part.operations for part in parts if part.operations is not None]
        return cls(
            torch.cat([part.boxes for part in parts]),
            torch.cat([part.flips for part in parts]),
            torch.cat(factors) if factors else None,
            randaugment.Operations.joined(operations) if operations else None,
        )

    def apply(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        """Return crops ``(N, 3, *size)`` of ``images`` ``(N, 3, H, W)``, all values from 0 to 255, as float32."""
        crops = sample_crops(images.float(), self.boxes, self.flips, size)
        if self.factors is not None:
            crops = scale_colours(crops / 255, self.factors) * 255
        if self.operations is not None:
            crops = self.operations.apply(crops.round().to(torch.uint8)).float()
        return crops


_STRENGTHS = {
    "none": Augmentation(),
    "light": Augmentation(scale=(0.35, 1.0), flip=0.5),
    "medium": Augmentation(scale=(0.2, 1.0), flip=0.5, jitter=0.2),
    "strong": Augmentation(scale=(0.08, 1.0), flip=0.5, jitter=0.4),
    "randaugment": Augmentation(scale=(0.2, 1.0), flip=0.5, operations=2),
}


def preset(strength: str, *, flip: bool) -> Augmentation:
    """Return the augmentation called ``strength``: ``none``, ``light``, ``medium``, ``strong`` or ``randaugment``."""
    augmentation = _STRENGTHS[strength]
    return augmentation if flip else replace(augmentation, flip=0.0)


@dataclass(frozen=True, slots=True)
class Mix:
    """How the images of a batch are mixed: ``mixup`` or ``cutmix``, with a weight from Beta(``alpha``, ``alpha``).

    What frozen units make of images can be mixed in their place (manifold mixup, https://arxiv.org/abs/1806.05236).
    """

    kind: str
    alpha: float

    def applies_to(self, shape: Sequence[int]) -> bool:
        """Return whether values of this ``shape`` for one image can be mixed; CutMix needs a map ``(C, H, W)``."""
        return self.kind == "mixup" or len(shape) == 3

    def apply(self, images: Tensor, labels: Tensor, classes: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return mixed ``images`` ``(N, C, H, W)`` and class probabilities ``(N, classes)`` for ``labels``.

        These are class indices ``(N,)``, or class probabilities already.

        As in torchvision's ``MixUp`` and ``CutMix``, every image is mixed with the one before it, and one weight
        is used for the whole batch.
        """
        share = _beta(self.alpha, generator)
        rolled = images.roll(1, 0)
        if self.kind == "mixup":
            images = images * share + rolled * (1 - share)
        else:
            top, bottom, left, right = cut_box(images.shape[-2], images.shape[-1], share, generator)
            images = images.clone()
            images[..., top:bottom, left:right] = rolled[..., top:bottom, left:right]
            share = 1 - (bottom - top) * (right - left) / (images.shape[-2] * images.shape[-1])
        targets = labels if labels.is_floating_point() else F.one_hot(labels, classes).float()
        return images, targets * share + targets.roll(1, 0) * (1 - share)


def cut_box(height: int, width: int, share: float, generator: torch.Generator) -> tuple[int, int, int, int]:
    """Return top, bottom, left, right of CutMix's box: ``1 - share`` of the area, clipped at the borders."""
    centre_x = int(torch.randint(width, (1,), generator=generator))
    centre_y = int(torch.randint(height, (1,), generator=generator))
    half = 0.5 * math.sqrt(1.0 - share)
    half_width, half_height = int(half * width), int(half * height)
    return (
        max(centre_y - half_height, 0),
        min(centre_y + half_height, height),
        max(centre_x - half_width, 0),
        min(centre_x + half_width, width),
    )


def _beta(alpha: float, generator: torch.Generator) -> float:
    draw = torch._sample_dirichlet(torch.tensor([alpha, alpha], dtype=torch.float64), generator)
    return float(draw[0])


def crop_boxes(
    count: int, ratios: Tensor, scale: tuple[float, float], ratio: tuple[float, float], generator: torch.Generator
) -> Tensor:
    """Return ``count`` crops as ``(centre x, centre y, width, height)`` in fractions of the image, ``(N, 4)``.

    The distribution of ``torchvision.transforms.RandomResizedCrop``: area and log aspect ratio are uniform; after ten
    failed tries, the largest central crop of an allowed aspect ratio. ``ratios`` ``(N,)`` are the images' widths
    over their heights.
    """
    tries = 10
    area = torch.empty(count, tries).uniform_(scale[0], scale[1], generator=generator)
    aspect = torch.empty(count, tries).uniform_(math.log(ratio[0]), math.log(ratio[1]), generator=generator).exp()
    # In pixels a crop is w = sqrt(A s r), h = sqrt(A s / r) with A = W H; as fractions of W and H:
    image = ratios[:, None]
    width, height = (area * aspect / image).sqrt(), (area * image / aspect).sqrt()
    fits = (width <= 1) & (height <= 1)
    first = fits.float().argmax(dim=1, keepdim=True)
    width, height = width.gather(1, first).squeeze(1), height.gather(1, first).squeeze(1)
    wanted = ratios.clamp(ratio[0], ratio[1])
    never = ~fits.any(dim=1)
    width = torch.where(never, (wanted / ratios).clamp(max=1.0), width)
    height = torch.where(never, (ratios / wanted).clamp(max=1.0), height)
    offsets = torch.rand(count, 2, generator=generator)
    offsets = torch.where(never[:, None], torch.full_like(offsets, 0.5), offsets)
    return torch.stack(
        [width / 2 + offsets[:, 0] * (1 - width), height / 2 + offsets[:, 1] * (1 - height), width, height], dim=1
    )


def central_boxes(count: int, ratios: Tensor, size: tuple[int, int], resize: tuple[int, int]) -> Tensor:
    """Return the crops that validation uses, in fractions of the image, ``(N, 4)``.

    The shorter side is scaled to ``resize`` and the central ``size`` is cut out; ``ratios`` are width over height.
    """
    canvas = resize[1] / resize[0]
    scale_width = torch.where(ratios > canvas, ratios / canvas, torch.ones_like(ratios))
    scale_height = torch.where(ratios > canvas, torch.ones_like(ratios), canvas / ratios)
    width = size[1] / (resize[1] * scale_width)
    height = size[0] / (resize[0] * scale_height)
    half = torch.full((count,), 0.5)
    return torch.stack([half, half, width.clamp(max=1), height.clamp(max=1)], dim=1)


def sample_crops(images: Tensor, boxes: Tensor, flips: Tensor, size: tuple[int, int]) -> Tensor:
    """Return crops of float ``images`` ``(N, C, H, W)``, scaled to ``size`` ``(N, C, h, w)``; ``flips`` mirrors."""
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0] = boxes[:, 2] * (1.0 - 2.0 * flips)
    theta[:, 1, 1] = boxes[:, 3]
    theta[:, 0, 2] = 2 * boxes[:, 0] - 1
    theta[:, 1, 2] = 2 * boxes[:, 1] - 1
    grid = F.affine_grid(sent(theta, images.device), [len(images), images.shape[1], *size], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def scale_colours(images: Tensor, factors: Tensor) -> Tensor:
    """Return ``images`` in 0..1 with brightness, contrast and saturation multiplied by ``factors`` ``(N, 3)``."""
    brightness, contrast, saturation = sent(factors, images.device).T[..., None, None, None]
    images = images * brightness
    mean = _grey(images).mean(dim=(2, 3), keepdim=True)
    images = (images - mean) * contrast + mean
    grey = _grey(images)
    coloured: Tensor = (grey + (images - grey) * saturation).clamp(0, 1)
    return coloured


def _grey(images: Tensor) -> Tensor:
    weights = sent(torch.tensor([0.299, 0.587, 0.114]), images.device)
    return (images * weights[None, :, None, None]).sum(dim=1, keepdim=True)
