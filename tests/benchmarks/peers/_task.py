"""What every contender is given: the same for all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from peers._budget import spent
from peers._images import Images, classes_of, load
from peers._networks import Design, build
from torch import nn

END_S = 1.5
"""CPU seconds kept back for writing the model and ending the process."""


@dataclass(frozen=True)
class Task:
    """One set, one budget.

    Attributes:
        folder: of the set.
        end: CPU seconds since the process began at which the model must be there.
        weights: file of the pretrained weights.
    """

    folder: Path
    backbone: str
    weights: Path
    size: int
    budget: float
    seed: int

    @property
    def end(self) -> float:
        return self.budget - END_S

    @property
    def left(self) -> float:
        return self.end - spent()

    @cached_property
    def train(self) -> Images:
        return load(self.folder, "train", self.size)

    @cached_property
    def val(self) -> Images:
        return load(self.folder, "val", self.size)

    @cached_property
    def everything(self) -> Images:
        """Training and validation images: what a final training is on."""
        return self.train + self.val

    def design(self, head: str = "linear") -> Design:
        return Design(self.backbone, len(classes_of(self.folder)), self.size, head)

    def network(self, head: str = "linear") -> nn.Module:
        return build(self.design(head), self.weights)
