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
        precision: ``auto`` is bf16 (else fp16) autocast on CUDA and float32 on the CPU.
    """

    epochs: int = 5
    batch_size: int = 32
    augmentation: Literal["none", "light", "medium", "strong", "randaugment"] = "light"
    flip: bool = True
    cache: bool = True
    precision: Literal["auto", "float32", "bf16", "fp16"] = "auto"
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
