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
    """An object: its class, how sure the model is (0 to 1), and its sides in pixels of the original image."""

    label: str
    score: float
    left: float
    top: float
    right: float
    bottom: float


class Span(NamedTuple):
    """An entity: its type, how sure the model is of its least sure word, and its first and last word, from 0."""

    label: str
    score: float
    first: int
    last: int
    text: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """The prediction for one input.

    Attributes:
        answers: classes or numbers, the surest first; of a mask the share of the pixels of every class that is there.
        boxes: the surest first.
        mask: the class of every pixel ``(H, W)`` of the original image, uint8, or int32 above 255 classes.
        tags: of every word, with the tag's probability; None for words behind the most tokens that are read.
        spans: the entities that the tags mark.
    """

    answers: tuple[ScoredLabel, ...] = ()
    boxes: tuple[PredictedBox, ...] = ()
    mask: Tensor | None = None
    tags: tuple[ScoredLabel | None, ...] = ()
    spans: tuple[Span, ...] = ()


class InputInfo(NamedTuple):
    """An input as it was before it was prepared: the way back to it.

    Attributes:
        width, height: of an image, in pixels.
        shown: the part of the image that the network sees, ``x0, y0, x1, y1`` in shares of it; beyond 0..1 are bars.
        words: of a sentence whose words have tags; ``places`` the word that each token is of.
    """

    width: int = 0
    height: int = 0
    shown: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    words: tuple[str, ...] = ()
    places: tuple[int | None, ...] = ()


class PredictOptions(NamedTuple):
    """What is asked of a model.

    Attributes:
        most: answers or boxes of an input; None leaves it to the task.
        threshold: answers and boxes with a lower score are left out; None leaves it to the task.
        temperature: by which outputs are divided before they become probabilities.
    """

    most: int | None = None
    threshold: float | None = None
    temperature: float = 1.0


class OutputDifference(NamedTuple):
    """How two outputs of the same inputs compare.

    Attributes:
        largest: difference of a number; ``scale`` is the largest number itself, against which it counts.
        agreeing: number of inputs with the same prediction.
    """

    largest: float
    scale: float
    agreeing: int
