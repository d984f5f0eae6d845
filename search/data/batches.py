"""Batches of decoded images, augmented and normalised on the device; the same for the same seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from search.data.augment import Augmentation, central_boxes, crop_boxes, jitter_colours, sample_crops
from search.data.cache import Pixels

_SHARE = 0.3
"""Of the device's free memory that images may take."""


@dataclass(slots=True, kw_only=True)
class Batches:
    """All batches of a split, epoch by epoch.

    Attributes:
        size: height and width that the network takes.
        resize: size of the frame the images were decoded for.
        augmentation: None for validation: images are taken as they are.
        shuffle: a new order every epoch; the last batch is left out when a single image would remain in it.
    """

    pixels: Pixels
    batch_size: int
    device: torch.device
    size: tuple[int, int]
    resize: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    seed: int = 0
    augmentation: Augmentation | None = None
    shuffle: bool = False
    _images: Tensor = field(init=False, repr=False)
    _labels: Tensor = field(init=False, repr=False)
    _mean: Tensor = field(init=False, repr=False)
    _scale: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._images = place(self.pixels.images, self.device)
        self._labels = self.pixels.labels.to(self.device)
        shape = (1, 3, 1, 1)
        self._mean = (torch.tensor(self.mean) * 255).reshape(shape).to(self.device)
        self._scale = (1 / (torch.tensor(self.std) * 255)).reshape(shape).to(self.device)

    def __len__(self) -> int:
        """Batches an epoch."""
        count, rest = divmod(len(self.pixels), self.batch_size)
        return max(count + (rest > 1 if self.shuffle else rest > 0), 1)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images ``(B, 3, h, w)``, normalised float32, and labels ``(B,)`` of epoch ``number``."""
        generator = torch.Generator().manual_seed((self.seed * 9_176_263 + number) % 2**63)
        count = len(self.pixels)
        order = torch.randperm(count, generator=generator) if self.shuffle else torch.arange(count)
        for step in range(len(self)):
            chosen = order[step * self.batch_size : (step + 1) * self.batch_size]
            yield self._take(chosen, generator)

    def _take(self, chosen: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        images = self._images[chosen.to(self._images.device)].to(self.device, non_blocking=True)
        labels = self._labels[chosen.to(self.device)]
        if self.augmentation is None:
            return (images.float() - self._mean) * self._scale, labels
        return self._augment(images, chosen, self.augmentation, generator), labels

    def _augment(
        self, images: Tensor, chosen: Tensor, augmentation: Augmentation, generator: torch.Generator
    ) -> Tensor:
        ratios = self.pixels.ratios[chosen] * (self.resize[1] / self.resize[0])
        if augmentation.scale is None:
            boxes = central_boxes(len(chosen), ratios, self.size, self.resize)
        else:
            boxes = crop_boxes(len(chosen), ratios, augmentation.scale, augmentation.ratio, generator)
        flips = (torch.rand(len(chosen), generator=generator) < augmentation.flip).float()
        crops = sample_crops(images.float(), boxes, flips, self.size)
        if augmentation.jitter:
            crops = jitter_colours(crops / 255, augmentation.jitter, generator) * 255
        return (crops - self._mean) * self._scale


def place(images: Tensor, device: torch.device) -> Tensor:
    """Return ``images`` where batches are taken from: on the device when they fit well, else where they are."""
    if device.type != "cuda":
        return images
    free, _ = torch.cuda.mem_get_info(device)
    return images.to(device) if images.nbytes < _SHARE * free else images
