"""Augmentation of whole batches, on the device that holds them; the same distributions as torchvision's transforms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What is varied.

    Attributes:
        scale: share of the image's area that a random crop covers; None takes the centre, as in validation.
        ratio: range of the crop's aspect ratio.
        flip: probability of mirroring.
        jitter: most that brightness, contrast and saturation change, as a factor around 1.
    """

    scale: tuple[float, float] | None = None
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.0
    jitter: float = 0.0


_STRENGTHS = {
    "none": Augmentation(),
    "light": Augmentation(scale=(0.35, 1.0), flip=0.5),
    "medium": Augmentation(scale=(0.2, 1.0), flip=0.5, jitter=0.2),
    "strong": Augmentation(scale=(0.08, 1.0), flip=0.5, jitter=0.4),
}


def preset(strength: str, *, flip: bool) -> Augmentation:
    """Return the augmentation called ``strength``: ``none``, ``light``, ``medium`` or ``strong``."""
    found = _STRENGTHS[strength]
    return found if flip else Augmentation(found.scale, found.ratio, 0.0, found.jitter)


def crop_boxes(
    count: int, ratios: Tensor, scale: tuple[float, float], ratio: tuple[float, float], generator: torch.Generator
) -> Tensor:
    """Return ``count`` crops as ``(centre x, centre y, width, height)`` in shares of the image, ``(N, 4)``.

    The distribution of ``torchvision.transforms.RandomResizedCrop``: area and log aspect ratio are uniform, ten
    tries, then the largest central crop whose aspect ratio is allowed. ``ratios`` ``(N,)`` are the images' own
    width over height.
    """
    tries = 10
    area = torch.empty(count, tries).uniform_(scale[0], scale[1], generator=generator)
    aspect = torch.empty(count, tries).uniform_(math.log(ratio[0]), math.log(ratio[1]), generator=generator).exp()
    # In pixels a crop is w = sqrt(A s r), h = sqrt(A s / r) with A = W H; in shares of W and H:
    image = ratios[:, None]
    width, height = (area * aspect / image).sqrt(), (area * image / aspect).sqrt()
    fits = (width <= 1) & (height <= 1)
    first = fits.float().argmax(dim=1, keepdim=True)
    width, height = width.gather(1, first).squeeze(1), height.gather(1, first).squeeze(1)
    wanted = ratios.clamp(ratio[0], ratio[1])
    never = ~fits.any(dim=1)
    width = torch.where(never, (wanted / ratios).clamp(max=1.0), width)
    height = torch.where(never, (ratios / wanted).clamp(max=1.0), height)
    place = torch.rand(count, 2, generator=generator)
    place = torch.where(never[:, None], torch.full_like(place, 0.5), place)
    return torch.stack(
        [width / 2 + place[:, 0] * (1 - width), height / 2 + place[:, 1] * (1 - height), width, height], dim=1
    )


def central_boxes(count: int, ratios: Tensor, size: tuple[int, int], resize: tuple[int, int]) -> Tensor:
    """Return the crops that validation takes, in shares of the image, ``(N, 4)``.

    The shorter side is scaled to ``resize`` and the centre of ``size`` is cut out; ``ratios`` are width over height.
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
    grid = F.affine_grid(theta.to(images.device), [len(images), images.shape[1], *size], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def jitter_colours(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Return ``images`` in 0..1 with brightness, contrast and saturation each changed by ``1 +- strength``."""
    factors = (
        torch.empty(3, len(images), 1, 1, 1).uniform_(1 - strength, 1 + strength, generator=generator).to(images.device)
    )
    images = images * factors[0]
    grey = _grey(images)
    images = (images - grey.mean(dim=(2, 3), keepdim=True)) * factors[1] + grey.mean(dim=(2, 3), keepdim=True)
    grey = _grey(images)
    return (grey + (images - grey) * factors[2]).clamp(0, 1)


def _grey(images: Tensor) -> Tensor:
    weights = torch.tensor([0.299, 0.587, 0.114], device=images.device)
    return (images * weights[None, :, None, None]).sum(dim=1, keepdim=True)
