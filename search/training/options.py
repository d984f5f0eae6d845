"""The section ``training`` of a study file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

_STEPS, _LEAST, _MOST = 240, 5, 30
_VIEWS, _PASSES = 4, 3
_SHORTER = 2 / 3
"""Factor by which training is shorter where everything learns: such a step costs at least three times as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How every candidate of a study is trained.

    Attributes:
        epochs: most passes over the training data in a trial. ``auto`` is 240 steps, but no less than 5 passes and no
            more than 30; networks of which much learns, whose steps cost more, get down to a third of that.
        patience: epochs in a row without a better one after which a training ends; 0: never. ``auto`` is two fifths of
            its epochs, at least 6.
        batch_size: samples a step; the effective size stays when memory forces smaller pieces.
        augmentation: ``none``, ``light``, ``medium``, ``strong`` or ``randaugment``.
        flip: whether images may be mirrored; false for digits, letters and the like.
        cache: whether decoded images are kept on disk for later runs and other processes.
        prefix_cache: ``auto`` keeps the output of frozen units for later epochs and trials, where that is quicker
            than computing it anew; ``off`` never does, and augments every epoch anew. Trials with frozen units
            see ``views`` fixed augmented views of every image otherwise, whether those are kept or not.
        views: nothing takes as many as cost at most about 1 % of the study.
        features: what kept outputs are stored as; ``auto`` is as they are computed.
        precision: ``auto`` is bf16 (else fp16) autocast on CUDA, bf16 on a CPU that multiplies bf16 numbers in
            hardware (Intel AMX, AVX-512 BF16), and float32 on any other.
        compile: whether training steps go through ``torch.compile``: ``auto`` where timing a few steps says that the
            trial earns back what compiling takes, ``graphs`` likewise with CUDA graphs, ``always`` at once.
        balance: what is done about classes of different sizes: ``sampling`` draws images of small classes more often,
            ``loss`` lets each of them count more; every class counts the same then.
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
        if self.views is not None and self.views < 1:
            raise ValueError(f"views must be at least 1, got {self.views}")

    def most_epochs(self, samples: int) -> int:
        """Return how many epochs a trial has at most where ``samples`` are trained on."""
        if self.epochs != "auto":
            return self.epochs
        steps = math.ceil(samples / self.batch_size)
        return min(max(math.ceil(_STEPS / steps), _LEAST), _MOST)

    def epochs_for(self, samples: int, share: float, learning: float) -> int:
        """Return how many epochs a candidate is trained for.

        Args:
            share: of the epochs that it asks for, as the decision ``epochs`` says.
            learning: share of the network's multiply-adds that lies behind its frozen units.
        """
        most = self.most_epochs(samples)
        if self.epochs != "auto":
            return max(round(share * most), 1)
        return max(round(share * most * (1 - _SHORTER * learning)), min(_LEAST, most))

    def patience_for(self, epochs: int) -> int:
        """Return the patience of a training of ``epochs``: epochs without a better one until it ends; 0 for never."""
        return max(math.ceil(epochs * 2 / 5), 6) if self.patience == "auto" else self.patience

    def views_for(self, trials: int, most: int, epochs: int) -> int:
        """Return how many of the fixed views of every image a training of ``epochs`` sees.

        Computing a view costs at most a forward pass, a third of a training pass: a thirtieth of the study's passes
        in views is about 1 % of its cost; 2 at least, or 4 at most. Twenty gave no better networks than 4 to 8
        (MobileNetV2, last stage, 120 to 160 images), and the first trials of a study pay for all. A view that serves
        less than ``_PASSES`` epochs costs a short training more than it teaches.

        Args:
            trials: of the study, each of ``most`` epochs.
        """
        if self.views is not None:
            return min(self.views, epochs)
        return min(max(most * trials // 30, 2), max(epochs // _PASSES, 1), _VIEWS)
