"""The section ``training`` of a study file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from search.records.choice import EPOCHS_A_VIEW, MOST_VIEWS

_STEPS, _LEAST, _MOST = 240, 5, 30
_LARGEST_BATCH = 2**31 - 1
_SHORTER = 2 / 3
"""Factor by which training is shorter if everything learns: such a step costs at least three times as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How every candidate of a study is trained.

    Attributes:
        epochs: most passes over the training data in a trial. ``auto`` is 240 steps, but at least 5 and at most 30
            passes; networks of which much learns, whose steps cost more, get down to a third of that.
        patience: number of epochs without a better one after which training ends; 0: never. ``auto`` is two fifths of
            its epochs, at least 6.
        batch_size: samples per step; the effective size stays the same if memory forces smaller pieces.
        augmentation: ``none``, ``light``, ``medium``, ``strong`` or ``randaugment``.
        flip: whether images may be mirrored; false for digits, letters and the like.
        cache: whether decoded images are kept on disk for later runs and other processes.
        prefix_cache: ``auto`` keeps the output of frozen units for later epochs and trials if that is faster than
            computing it again; ``off`` never does, and augments afresh in every epoch. Otherwise trials with frozen
            units see ``views`` fixed augmented views of every image, whether or not those are kept.
        views: by default as many as cost at most about 1 % of the study.
        features: the type in which kept outputs are stored; ``auto`` is the computed one.
        precision: ``auto`` is bf16 (else fp16) autocast on CUDA, bf16 on a CPU that multiplies bf16 numbers in
            hardware (Intel AMX, AVX-512 BF16), and float32 on any other.
        compile: whether training steps go through ``torch.compile``: ``auto`` if a few timed steps show that the trial
            earns back the time to compile, ``graphs`` likewise with CUDA graphs, ``always`` at once.
        balance: treatment of classes of different sizes: ``sampling`` draws images of small classes more often,
            ``loss`` gives them more weight; either way all classes count the same.
    """

    epochs: int | Literal["auto"] = "auto"
    patience: int | Literal["auto"] = "auto"
    batch_size: int = 32
    augmentation: Literal["none", "light", "medium", "strong", "randaugment"] = "light"
    flip: bool = True
    cache: bool = True
    prefix_cache: Literal["auto", "off"] = "auto"
    views: int | None = None
    features: Literal["auto", "float32", "bf16", "fp16"] = "auto"
    precision: Literal["auto", "float32", "bf16", "fp16"] = "auto"
    compile: Literal["off", "auto", "graphs", "always"] = "off"
    balance: Literal["off", "sampling", "loss"] = "off"
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("patience", 0)):
            given = getattr(self, name)
            if given != "auto" and given < least:
                raise ValueError(f"{name} must be at least {least}, got {given}")
        if self.batch_size > _LARGEST_BATCH:
            raise ValueError(f"batch_size must be at most {_LARGEST_BATCH}, got {self.batch_size}")
        if self.views is not None and self.views < 1:
            raise ValueError(f"views must be at least 1, got {self.views}")

    def most_epochs(self, samples: int) -> int:
        """Return the largest number of epochs of a trial on ``samples`` training samples."""
        if self.epochs != "auto":
            return self.epochs
        steps = math.ceil(samples / self.batch_size)
        return min(max(math.ceil(_STEPS / steps), _LEAST), _MOST)

    def epochs_for(self, samples: int, share: float, learning: float) -> int:
        """Return the number of epochs a candidate is trained for.

        Args:
            share: of the epochs, the value of the decision ``epochs``.
            learning: share of the network's multiply-adds after its frozen units.
        """
        most = self.most_epochs(samples)
        if self.epochs != "auto":
            return max(round(share * most), 1)
        return max(round(share * most * (1 - _SHORTER * learning)), min(_LEAST, most))

    def patience_for(self, epochs: int) -> int:
        """Return the patience for ``epochs`` epochs: how many may pass without a better one; 0 for any number."""
        return max(math.ceil(epochs * 2 / 5), 6) if self.patience == "auto" else self.patience

    def views_for(self, trials: int, most: int, epochs: int) -> int:
        """Return how many of the fixed views of every image a training of ``epochs`` sees.

        Computing a view costs at most a forward pass, a third of a training pass: a thirtieth of the study's passes
        in views is about 1 % of its cost; 2 at least, or 4 at most. Twenty gave no better networks than 4 to 8
        (MobileNetV2, last stage, 120 to 160 images), and the first trials of a study pay for all. A view that serves
        fewer than ``EPOCHS_A_VIEW`` epochs costs a short training more than it teaches.

        Args:
            trials: of the study, each of ``most`` epochs.
        """
        if self.views is not None:
            return min(self.views, epochs)
        return min(max(most * trials // 30, 2), max(epochs // EPOCHS_A_VIEW, 1), MOST_VIEWS)
