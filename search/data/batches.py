"""Batches of decoded images, augmented and normalised on the device; the same for the same seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from search.data.augment import Augmentation, Drawn, Mix
from search.data.cache import Pixels

_SHARE = 0.3
"""Of the device's free memory that images may take."""


@dataclass(frozen=True, slots=True)
class Views:
    """A fixed set of augmented views of every image, so that what is computed from one can be kept.

    Attributes:
        count: epochs take the views in turn, the first again after the last.
        seed: of the whole study, so that its trials share them.
    """

    count: int
    seed: int


@dataclass(slots=True, kw_only=True)
class Batches:
    """All batches of a split, epoch by epoch.

    Attributes:
        size: height and width that the network takes.
        resize: size of the frame the images were decoded for.
        augmentation: None for validation: images are taken as they are.
        views: None draws every epoch's augmentation anew.
        mix: how images of a batch are mixed with one another; ``classes`` is how many there are.
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
    views: Views | None = None
    mix: Mix | None = None
    classes: int = 0
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
        """Yield images ``(B, 3, h, w)``, normalised float32, and labels of epoch ``number``.

        Labels are class indices ``(B,)``; after mixing, class probabilities ``(B, classes)``.
        """
        drawn = self._drawn(number)
        generator = self._generator(self.seed, number, 2)
        for chosen in self.order(number):
            images, labels = self._take(chosen, drawn), self.labels(chosen)
            if self.mix is not None:
                images, labels = self.mix.apply(images, labels, self.classes, generator)
            yield images, labels

    def order(self, number: int) -> list[Tensor]:
        """Return the numbers of the images of every batch of epoch ``number``."""
        count = len(self.pixels)
        order = torch.arange(count)
        if self.shuffle:
            order = torch.randperm(count, generator=self._generator(self.seed, number, 0))
        return list(torch.split(order, self.batch_size))[: len(self)]

    def labels(self, chosen: Tensor) -> Tensor:
        """Return the class indices ``(B,)`` of the images with the numbers ``chosen``."""
        return self._labels[chosen.to(self.device)]

    def view(self, number: int) -> int:
        """Return which of the fixed views epoch ``number`` takes, counted from 0."""
        return (number - 1) % self.views.count if self.views else 0

    def images(self, number: int, batch_size: int) -> Iterator[tuple[slice, Tensor]]:
        """Yield all images as epoch ``number`` sees them, unmixed and in order, with their places."""
        drawn = self._drawn(number)
        for start in range(0, len(self.pixels), batch_size):
            part = slice(start, min(start + batch_size, len(self.pixels)))
            yield part, self._take(torch.arange(part.start, part.stop), drawn)

    def _drawn(self, number: int) -> Drawn | None:
        if self.augmentation is None:
            return None
        seed, turn = (self.views.seed, self.view(number)) if self.views else (self.seed, number)
        ratios = self.pixels.ratios * (self.resize[1] / self.resize[0])
        return self.augmentation.draw(ratios, self.size, self.resize, self._generator(seed, turn, 1))

    def _take(self, chosen: Tensor, drawn: Drawn | None) -> Tensor:
        rows = self.pixels.rows
        images = gather(self._images, chosen if rows is None else rows[chosen], self.device)
        crops = images.float() if drawn is None else drawn.of(chosen).apply(images, self.size)
        return crops.sub_(self._mean).mul_(self._scale)

    @staticmethod
    def _generator(seed: int, turn: int, purpose: int) -> torch.Generator:
        return torch.Generator().manual_seed(((seed * 9_176_263 + turn) * 4 + purpose) % 2**63)


def place(images: Tensor, device: torch.device) -> Tensor:
    """Return ``images`` where batches are taken from: on the device when they fit well, else where they are."""
    if device.type != "cuda":
        return images
    free, _ = torch.cuda.mem_get_info(device)
    return images.to(device) if images.nbytes < _SHARE * free else images


def gather(rows: Tensor, chosen: Tensor, device: torch.device) -> Tensor:
    """Return ``rows[chosen]`` on ``device``; from host memory by way of pinned memory, so that the device can go on."""
    if rows.is_cuda or device.type != "cuda":
        return rows.index_select(0, chosen.to(rows.device))
    staged = torch.empty((len(chosen), *rows.shape[1:]), dtype=rows.dtype, pin_memory=True)
    torch.index_select(rows, 0, chosen, out=staged)
    return staged.to(device, non_blocking=True)
