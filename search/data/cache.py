"""Decoded images: one memory-mapped uint8 array on disk, shared by all processes of a machine."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from search.data import array_cache
from search.data.array_cache import ArrayCache
from search.data.assembly import in_parallel
from search.data.sample import Sample
from search.data.targets import Targets
from search.records.study import Json

logger = logging.getLogger(__name__)
Progress = Callable[[int, int], None]
VERSION = 5
"""Version of how files become arrays, and of their order; part of the key of everything stored about images."""
_REPORT_EVERY = 16
_MOST_SCALED = 1 << 24
"""Largest scaled image, in pixels, that is made as a whole before its centre is cut out."""
_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True, slots=True)
class Frame:
    """How images become arrays of one size.

    Attributes:
        size: height and width of the network's input; ``resize`` what the shorter side is scaled to before
            the centre is cut out (validation), and the size of the canvas (training), in the same order.
        whole: keep the whole image, squashed to ``resize``: random crops are drawn from it later. False cuts
            the centre exactly as torchvision's evaluation transform does.
    """

    size: tuple[int, int]
    resize: tuple[int, int]
    interpolation: str
    whole: bool

    @property
    def shape(self) -> tuple[int, int]:
        return self.resize if self.whole else self.size

    @property
    def fit(self) -> str:
        """How an image is fitted into the array: ``crop``, ``stretch``, or a name of the subclass's own."""
        return "stretch" if self.whole else "crop"

    @property
    def key(self) -> list[Json]:
        """Identifies the arrays that this frame produces; subclasses add their own facts."""
        return [self.size, self.resize, self.interpolation, self.whole]

    @property
    def extra(self) -> tuple[Json, ...]:
        """How images were framed, beyond what ``Batches.facts`` says; a subclass names what it does differently."""
        return ()

    def shown(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return the part of an image of ``width`` times ``height`` pixels that the array shows.

        As ``x0, y0, x1, y1`` in fractions of the image: positions in the image (boxes) are transformed with it.
        """
        if self.whole:
            return (0.0, 0.0, 1.0, 1.0)
        scale = max(self.resize[0] / height, self.resize[1] / width)
        across, down = max(int(width * scale), self.size[1]), max(int(height * scale), self.size[0])
        left, top = round((across - self.size[1]) / 2), round((down - self.size[0]) / 2)
        return (left / across, top / down, (left + self.size[1]) / across, (top + self.size[0]) / down)

    def render(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return ``image`` as ``(3, H, W)``."""
        method = _RESAMPLING.get(self.interpolation, Image.Resampling.BILINEAR)
        height, width = self.shape
        fitted = image.resize((width, height), method) if self.whole else centre(image, self.resize, self.size, method)
        return np.ascontiguousarray(np.asarray(fitted).transpose(2, 0, 1))


def centre(image: Image.Image, resize: tuple[int, int], size: tuple[int, int], method: Image.Resampling) -> Image.Image:
    """Return a centre crop of ``size`` (height, width) of ``image`` scaled to cover ``resize``.

    If the image is so narrow that the whole of it would become enormous, only its centre is scaled.
    """
    scale = max(resize[0] / image.height, resize[1] / image.width)
    across, down = max(int(image.width * scale), size[1]), max(int(image.height * scale), size[0])
    left, top = round((across - size[1]) / 2), round((down - size[0]) / 2)
    box = (left, top, left + size[1], top + size[0])
    if across * down <= _MOST_SCALED:
        return image.resize((across, down), method).crop(box)
    margin = 2 * math.ceil(max(scale, 1)) + 2  # the reach of a filter with two pixels on either side
    x0, y0 = max(left - margin, 0), max(top - margin, 0)
    x1, y1 = min(box[2] + margin, across), min(box[3] + margin, down)
    wide, high = image.width / across, image.height / down
    part = (x0 * wide, y0 * high, min(x1 * wide, image.width), min(y1 * high, image.height))
    scaled = image.resize((x1 - x0, y1 - y0), method, box=part)
    return scaled.crop((left - x0, top - y0, left - x0 + size[1], top - y0 + size[0]))


@dataclass(frozen=True, slots=True)
class Pixels:
    """Decoded images of one split.

    Attributes:
        images: ``(N, 3, H, W)`` uint8, possibly a memory map that must not be written to.
        targets: of each image: class indices ``(N,)`` int64, or what the task makes of its samples.
        ratios: ``(N,)`` float32, aspect ratio (width over height) of the original image divided by the canvas's.
        rows: ``(N,)`` which of ``images`` are meant; None: all of them, in order.
    """

    images: Tensor
    targets: Targets
    ratios: Tensor
    rows: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ratios)

    def of(self, places: Sequence[int]) -> Pixels:
        """Return the ones at ``places``; nothing is copied."""
        chosen = torch.tensor(places, dtype=torch.int64)
        rows = chosen if self.rows is None else self.rows[chosen]
        return Pixels(self.images, self.targets.index_select(0, chosen), self.ratios[chosen], rows)


def decode(
    samples: Sequence[Sample],
    frame: Frame,
    fingerprint: str,
    folder: Path | None,
    budget_bytes: int | None = None,
    progress: Progress | None = None,
    targets: Targets | None = None,
) -> Pixels:
    """Return the images of ``samples`` in the given frame; from the cache in ``folder`` when it has them.

    ``fingerprint`` identifies content and order of ``samples``, as that of a ``Dataset`` does. However many
    processes ask at once, one decodes and the others wait. Without a folder, or if it cannot be written, images stay
    in memory. ``progress`` is called with the number decoded and the total. ``targets`` are kept as they are; by
    default they are the samples' class indices.
    """
    if targets is None:
        targets = torch.tensor([sample.target for sample in samples], dtype=torch.int64)
    shape = (len(samples), 3, *frame.shape)

    def fill(images: NDArray[np.uint8]) -> array_cache.Facts:
        return {"ratios": _render(samples, frame, images, progress).tolist()}

    if folder is not None:
        facts = json.dumps([VERSION, fingerprint, len(samples), *frame.key])
        name = hashlib.sha256(facts.encode()).hexdigest()[:32]
        try:
            array, meta = ArrayCache(folder, budget_bytes).make(name, shape, np.uint8, fill)
        except OSError as error:
            logger.warning(
                "decoded images cannot be cached in %s (%s): keeping them in memory", folder, array_cache.why(error)
            )
        else:
            return Pixels(torch.from_numpy(array), targets, torch.tensor(meta["ratios"], dtype=torch.float32))
    images = np.empty(shape, dtype=np.uint8)
    return Pixels(torch.from_numpy(images), targets, torch.tensor(fill(images)["ratios"], dtype=torch.float32))


def _render(
    samples: Sequence[Sample], frame: Frame, images: NDArray[np.uint8], progress: Progress | None
) -> NDArray[np.float32]:
    ratios = np.empty(len(samples), dtype=np.float32)
    canvas = frame.shape[1] / frame.shape[0]
    done, telling = itertools.count(1), threading.Lock()

    def put(place: int) -> None:
        image = samples[place].input.open()
        images[place] = frame.render(image)
        ratios[place] = image.width / image.height / canvas
        with telling:  # in order: the last number is the last that anyone hears
            number = next(done)
            if progress is not None and (number % _REPORT_EVERY == 0 or number == len(samples)):
                progress(number, len(samples))

    in_parallel(put, range(len(samples)))
    return ratios
