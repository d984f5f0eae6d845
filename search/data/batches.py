"""Batches of decoded images, augmented and normalised on the device; the same for the same seed and epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from search.data.augment import Augmentation, DrawnAugmentation, Mix
from search.data.cache import VERSION, Pixels
from search.data.loader import Loader, Views, generator
from search.data.sample import Part
from search.data.targets import Geometry, Rows, Targets
from search.data.transfer import sent
from search.records.study import Json

__all__ = ["Batches", "Views", "gather", "place"]
_APART = 1_000_003
"""Difference of the seeds of two parts of a data set; odd, as generators use the lower 32 bits of theirs alone."""
_SHARE = 0.3
"""Share of the device's free memory that images may take."""


@dataclass(slots=True, kw_only=True)
class Batches(Loader):
    """All batches of a split of images, epoch by epoch.

    Attributes:
        size: height and width that the network takes.
        resize: size that the images were decoded to.
        augmentation: None, for validation, leaves images as they are.
        views: None draws a new augmentation in every epoch.
        mix: how images of a batch are mixed with one another; ``classes`` is how many there are.
        shuffle: whether every epoch has a new order; the last batch is left out if it would hold a single image.
        framed: whatever else identifies how the images were decoded (``Frame.extra``).
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
    mixes_features: bool = False
    framed: tuple[Json, ...] = ()
    parts: tuple[Part, ...] = ()
    _images: Tensor = field(init=False, repr=False)
    _targets: Targets = field(init=False, repr=False)
    _mean: Tensor = field(init=False, repr=False)
    _scale: Tensor = field(init=False, repr=False)
    _last: tuple[tuple[int, int], DrawnAugmentation] | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        self._images = place(self.pixels.images, self.device)
        self._targets = self.pixels.targets.to(self.device)
        shape = (1, 3, 1, 1)
        self._mean = (torch.tensor(self.mean) * 255).reshape(shape).to(self.device)
        self._scale = (1 / (torch.tensor(self.std) * 255)).reshape(shape).to(self.device)

    @property
    def count(self) -> int:
        return len(self.pixels)

    @property
    def facts(self) -> Sequence[Json]:
        return (VERSION, self.size, self.resize, self.mean, self.std, *self.framed)

    @property
    def variation(self) -> str:
        return repr(self.augmentation)

    @property
    def is_random(self) -> bool:
        return self.augmentation is not None and self.augmentation.is_random

    @property
    def is_mixed(self) -> bool:
        return self.mix is not None

    def can_mix(self, shape: Sequence[int]) -> bool:
        return self.mix is not None and self.mix.applies_to(shape)

    def mixing(self, number: int) -> Callable[[Tensor, Targets], tuple[Tensor, Targets]]:
        """Return what mixes a batch; its targets then are class probabilities ``(B, classes)``."""
        mix, random = self.mix, generator(self.seed, number, 2)

        def mixed(inputs: Tensor, targets: Targets) -> tuple[Tensor, Targets]:
            if mix is None or not isinstance(targets, Tensor):
                return inputs, targets
            return mix.apply(inputs, targets, self.classes, random)

        return mixed

    def inputs(self, chosen: Tensor, number: int) -> Tensor:
        """Return the images ``(B, 3, h, w)`` at the indices ``chosen``, as normalised float32."""
        drawn = self._drawn(number)
        rows = self.pixels.rows
        images = gather(self._images, chosen if rows is None else rows[chosen], self.device)
        crops = images.float() if drawn is None else drawn.of(chosen).apply(images, self.size)
        return crops.sub_(self._mean).mul_(self._scale)

    def targets(self, chosen: Tensor, number: int) -> Targets:
        """Return the targets of the images at the indices ``chosen``, with positions transformed as the image is."""
        if isinstance(self._targets, Tensor):
            return gather(self._targets, chosen, self.device)
        targets = self._targets.index_select(0, chosen)
        drawn = self._drawn(number)
        if drawn is None:
            return targets
        part = drawn.of(chosen)
        moved: Rows = targets.follow(Geometry(part.boxes, part.flips, self.size))
        return moved

    def _drawn(self, number: int) -> DrawnAugmentation | None:
        if self.augmentation is None:
            return None
        turn = (self.views.seed, self.view(number)) if self.views else (self.seed, number)
        if self._last is None or self._last[0] != turn:
            ratios = self.pixels.ratios * (self.resize[1] / self.resize[0])
            counts = [part.count for part in self.parts] or [len(ratios)]
            drawn = [
                self.augmentation.draw(own, self.size, self.resize, generator(turn[0] + _APART * index, turn[1], 1))
                for index, own in enumerate(torch.split(ratios, counts))
            ]
            self._last = (turn, DrawnAugmentation.joined(drawn))
        return self._last[1]


def place(images: Tensor, device: torch.device) -> Tensor:
    """Return ``images`` on the device if they fit well, else where they are; batches are taken from there."""
    if device.type != "cuda":
        return images
    free, _ = torch.cuda.mem_get_info(device)
    return images.to(device) if images.nbytes < _SHARE * free else images


def gather(rows: Tensor, chosen: Tensor, device: torch.device) -> Tensor:
    """Return ``rows[chosen]`` on ``device``, copied through pinned memory so that the device need not wait."""
    if rows.is_cuda or device.type != "cuda":
        return rows.index_select(0, sent(chosen, rows.device))
    staged = torch.empty((len(chosen), *rows.shape[1:]), dtype=rows.dtype, pin_memory=True)
    torch.index_select(rows, 0, chosen, out=staged)
    return staged.to(device, non_blocking=True)
