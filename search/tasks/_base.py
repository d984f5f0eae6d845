"""What every task is: it owns data formats, head, loss and metrics. Same verbs in all tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from search.errors import UserError
from search.records import Evaluation
from spaces.heads import Features, HeadChoice


class Answer(NamedTuple):
    """One thing that a model says of an input: a class's name, and how sure it is, 0 to 1."""

    label: str
    score: float


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
        hub_task: what model hubs call it, ``image-classification``; empty where they have no word for it.
    """

    name: ClassVar[str]
    formats: ClassVar[tuple[str, ...]]
    directions: ClassVar[Mapping[str, bool]]
    mixes: ClassVar[bool] = False
    hub_task: ClassVar[str] = ""

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

    def answers(
        self, outputs: Tensor, classes: tuple[str, ...], most: int, temperature: float = 1.0
    ) -> list[tuple[Answer, ...]]:
        """Return what a trained network's ``outputs`` say of each input, the surest first, at most ``most`` each.

        Args:
            temperature: by which outputs are divided before they become probabilities.

        Raises:
            UserError: this task's outputs cannot be put into words.
        """
        raise UserError(f"the task {self.name} does not say how its outputs are read; its file needs `answers`")
