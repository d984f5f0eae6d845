"""The interface of transferability estimators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A pretrained network's features of labelled inputs.

    Attributes:
        features: one vector per input, ``(N, D)``.
        labels: class indices ``(N,)``, every one of ``0..classes - 1`` at least twice.
        probabilities: of the classes that the network was pretrained on, ``(N, Z)``; None if it has none.
    """

    features: Floats
    labels: Ints
    probabilities: Floats | None = None

    @property
    def classes(self) -> int:
        return int(self.labels.max()) + 1

    @property
    def one_hot(self) -> Floats:
        """Return the labels as ``(N, classes)`` of 0 and 1."""
        return np.eye(self.classes)[self.labels]


class Estimator(ABC):
    """A score that is higher if features suit the labels better. Each file ends with ``estimator = ...()``.

    Class attributes:
        name: the file's name; ``title`` for people.
        source: where the method comes from.
        rank: tables list estimators in this order.
        reads_classes: whether it needs ``probabilities``, and so does not apply to networks without classes.
        of_layers: whether it is fast enough, and meaningful, for the features of every layer.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    rank: ClassVar[int]
    reads_classes: ClassVar[bool] = False
    of_layers: ClassVar[bool] = True

    @abstractmethod
    def score(self, evidence: Evidence) -> float:
        """Return the score; larger is better."""


def as_floats(values: Any) -> Floats:
    """Return ``values`` as an array of float64."""
    return np.asarray(values, dtype=np.float64)
