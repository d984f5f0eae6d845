"""Turns samples into batches of images, decoded once for all trials of a process in the frame that the task needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from search.data import augment, cache
from search.data.augment import Augmentation, Mix
from search.data.batches import Batches
from search.data.sample import Dataset, Sample, Split
from search.data.targets import Targets
from spaces.backbones._base import Preprocessing

_CPU = torch.device("cpu")
_PLAIN = augment.preset("none", flip=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request for batches; by default all samples of the split, on the CPU and unaugmented.

    Attributes:
        size: height and width that the network takes; ``expected`` what its weights expect of images.
        batch_size: samples per batch, those of validation included.
        augmentation: that of training; validation takes none.
        mix: how training samples are mixed; None: not at all.
        folder: disk cache of decoded images; None keeps them in memory.
        kept: images decoded for earlier requests, by split and size; shared by all trials of a process.
        progress: called while images are decoded, ``(what, done, total)``.
    """

    dataset: Dataset
    split: Split
    size: tuple[int, int]
    expected: Preprocessing
    batch_size: int = 32
    device: torch.device = _CPU
    seed: int = 0
    augmentation: Augmentation = _PLAIN
    mix: Mix | None = None
    folder: Path | None = None
    kept: dict[tuple[Split, tuple[int, int]], Any] = field(default_factory=dict)
    progress: Callable[[str, int, int], None] = lambda *_: None

    @property
    def is_training(self) -> bool:
        return self.split is Split.TRAIN


def image_batches(
    request: Request,
    frame: cache.Frame,
    augmentation: Augmentation,
    targets: Callable[[Sequence[Sample], cache.Frame], Targets],
) -> Batches:
    """Return batches of images in ``frame``: shuffled and augmented for training, unchanged for the other splits."""
    split, size, expected, training = request.split, request.size, request.expected, request.is_training
    if (split, size) not in request.kept:
        samples = request.dataset.of(split)
        name, tell = f"{request.dataset.fingerprint}-{split}", partial(request.progress, f"decoding {split} images")
        learnt = targets(samples, frame)
        request.kept[split, size] = cache.decode(samples, frame, name, request.folder, progress=tell, targets=learnt)
    return Batches(
        pixels=request.kept[split, size],
        batch_size=request.batch_size,
        device=request.device,
        size=size,
        resize=frame.resize,
        mean=expected.mean,
        std=expected.std,
        seed=request.seed,
        augmentation=augmentation if training else None,
        mix=request.mix if training else None,
        classes=len(request.dataset.classes),
        shuffle=training,
        framed=frame.extra,
        parts=request.dataset.parts if training else (),
    )
