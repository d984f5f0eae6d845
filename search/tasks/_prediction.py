"""Predictions of a finished model for any task: classes, numbers, boxes, a mask, tags of words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


class ScoredLabel(NamedTuple):
    """A class's name and its probability, or a predicted number and its name."""

    label: str
    score: float


class PredictedBox(NamedTuple):
    """An object: its class, the model's confidence (0 to 1), and its sides in pixels of the original image."""

    label: str
    score: float
    left: float
    top: float
    right: float
    bottom: float


class Span(NamedTuple):
    """An entity: its type, the confidence in its least certain word, and the indices of its first and last word."""

    label: str
    score: float
    first: int
    last: int
    text: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """The prediction for one input.

    Attributes:
        answers: classes or numbers, the most confident first; for a mask, each class's share of the pixels.
        boxes: the most confident first.
        mask: the class of every pixel ``(H, W)`` of the original image, uint8, or int32 above 255 classes.
        tags: of every word, with the tag's probability; None for words beyond the maximum length.
        spans: the entities that the tags mark.
    """

    answers: tuple[ScoredLabel, ...] = ()
    boxes: tuple[PredictedBox, ...] = ()
    mask: Tensor | None = None
    tags: tuple[ScoredLabel | None, ...] = ()
    spans: tuple[Span, ...] = ()


class InputInfo(NamedTuple):
    """What maps predictions back to the input as it was before preprocessing.

    Attributes:
        width, height: of an image, in pixels.
        shown: the part of the image that the network sees, ``x0, y0, x1, y1`` as fractions of it; beyond 0..1 are bars.
        words: of a sentence whose words are tagged; ``places`` the word that each token belongs to.
    """

    width: int = 0
    height: int = 0
    shown: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    words: tuple[str, ...] = ()
    places: tuple[int | None, ...] = ()


class PredictOptions(NamedTuple):
    """Options of a prediction.

    Attributes:
        most: answers or boxes per input; None leaves it to the task.
        threshold: answers and boxes with a lower score are left out; None leaves it to the task.
        temperature: divides outputs before they become probabilities.
    """

    most: int | None = None
    threshold: float | None = None
    temperature: float = 1.0


class OutputDifference(NamedTuple):
    """How two outputs of the same inputs compare.

    Attributes:
        largest: largest difference of a number; ``scale`` is the largest number itself, for comparison.
        agreeing: number of inputs with the same prediction.
    """

    largest: float
    scale: float
    agreeing: int
