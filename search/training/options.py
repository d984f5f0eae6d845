"""What a study file may say about training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How every candidate of a study is trained.

    Attributes:
        epochs: most passes over the training data in a trial.
        batch_size: samples a step; the effective size stays when memory forces smaller pieces.
        augmentation: ``none``, ``light``, ``medium``, ``strong`` or ``randaugment``.
        flip: whether images may be mirrored; false for digits, letters and the like.
        cache: whether decoded images are kept on disk for later runs and other processes.
        prefix_cache: ``auto`` keeps the output of frozen units for later epochs and trials, where that is quicker
            than computing it anew; ``off`` never does, and augments every epoch anew. Trials with frozen units
            see ``views`` fixed augmented views of every image otherwise, whether those are kept or not.
        views: nothing takes as many as cost at most about 1 % of the study.
        features: what kept outputs are stored as; ``auto`` is as they are computed.
        precision: ``auto`` is bf16 (else fp16) autocast on CUDA, bf16 on a CPU that multiplies bf16 matrices in
            hardware (Intel AMX), and float32 on any other.
        compile: whether training steps go through ``torch.compile``: ``auto`` where timing a few steps says that the
            trial earns back what compiling takes, ``graphs`` likewise with CUDA graphs, ``always`` at once.
        balance: what is done about classes of different sizes: ``sampling`` draws images of small classes more often,
            ``loss`` lets each of them count more; every class counts the same then.
    """

    epochs: int = 5
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
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.views is not None and self.views < 1:
            raise ValueError(f"views must be at least 1, got {self.views}")

    def views_for(self, trials: int) -> int:
        """Return how many views of every image a study of ``trials`` trials has.

        Computing a view costs at most a forward pass, a third of a training pass: a thirtieth of the study's passes
        in views is about 1 % of its cost; 2 at least, and not more than there are epochs.
        """
        if self.views is not None:
            return self.views
        return min(max(self.epochs * trials // 30, 2), self.epochs)
