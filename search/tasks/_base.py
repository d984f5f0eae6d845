"""What every task is: it owns data formats, head, loss and metrics. Same verbs in all tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from search.records import Evaluation
from spaces.heads import Features, HeadChoice


class Meter(ABC):
    """Collects one validation pass on the device; no host synchronisation until ``compute``."""

    @abstractmethod
    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Take a batch: ``outputs`` ``(N, classes)`` logits, ``targets`` ``(N,)`` class indices."""

    @abstractmethod
    def compute(self) -> Mapping[str, float]:
        """Return every metric of the task by name, ``loss`` among them."""

    @abstractmethod
    def evaluation(self) -> Evaluation:
        """Return per-class results and the confusion matrix."""


class Task(ABC):
    """What is learnt. A file of this room ends with ``task = ...()``.

    Class attributes:
        name: the file's name and the value of ``task:`` in a study file.
        formats: names of the data formats it takes.
        mixes: whether inputs may be mixed with one another: ``loss`` then takes class probabilities.
        directions: metric name -> True when larger is better; the first one is the default objective.
    """

    name: ClassVar[str]
    formats: ClassVar[tuple[str, ...]]
    directions: ClassVar[Mapping[str, bool]]
    mixes: ClassVar[bool] = False

    @abstractmethod
    def head(self, features: Features, classes: int, choice: HeadChoice) -> nn.Module:
        """Return a head that turns ``features`` into the task's outputs for ``classes`` classes."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Return the mean loss of a batch. ``targets`` are class indices ``(N,)`` or, after mixup,
        class probabilities ``(N, classes)``."""

    @abstractmethod
    def meter(self, classes: tuple[str, ...], device: Any) -> Meter:
        """Return an empty meter for one validation pass."""
