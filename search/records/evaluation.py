"""Validation in detail: results by class, mistakes, pictures worth looking at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

Json = Any
_SQUARABLE = 1e150
"""Values below it have a variance."""
_TEXTS = ("caption", "true_mask", "predicted_mask", "sample", "content")
"""Fields of a picture."""


class Named(Protocol):
    """What is kept of a sample's input, see ``search.data.sample.Source``."""

    @property
    def name(self) -> str: ...

    def digest(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class ClassResult:
    """Validation results of one class at the best epoch."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Validation results of one class, or of one predicted number, at the best epoch, in a task's own metrics.

    Attributes:
        values: metric -> value (``average_precision``, ``iou``, ``rmse`` ...), the most informative one first;
            undefined ones are left out.
        support: validation samples (or boxes, or pixels) it was measured on.
    """

    name: str
    values: Mapping[str, float]
    support: int


@dataclass(frozen=True, slots=True)
class Box:
    """A box in a picture; all four sides as fractions of the original image, the origin at the top left.

    Attributes:
        score: confidence of a predicted one; None for a true one.
    """

    left: float
    top: float
    right: float
    bottom: float
    label: str
    score: float | None = None

    @classmethod
    def from_json(cls, data: Json) -> Box:
        """Read what ``dataclasses.asdict`` and JSON made of one."""
        sides = {name: float(data[name]) for name in ("left", "top", "right", "bottom")}
        score = data.get("score")
        return cls(**{**data, **sides, "label": str(data["label"]), "score": None if score is None else float(score)})


@dataclass(frozen=True, slots=True)
class Picture:
    """A validation sample worth a look, with its true and its predicted label.

    Attributes:
        place: index in the validation split.
        caption: one line describing it (``true 3.1, predicted 5.0``).
        boxes: true ones, and predicted ones with a score.
        true_mask, predicted_mask: PNG in base64, one grey value per class, over the part ``shown`` of the image; empty
            if there is none.
        shown: that part, as left, top, right, bottom in fractions of the original image.
        sample: its name in the data set: a path if it is a file.
        content: hash of what is stored there, in hexadecimal: a file that is another one by now is not shown.
    """

    place: int
    caption: str
    boxes: tuple[Box, ...] = ()
    true_mask: str = ""
    predicted_mask: str = ""
    shown: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    sample: str = ""
    content: str = ""

    @classmethod
    def from_json(cls, data: Json) -> Picture:
        """Read what ``dataclasses.asdict`` and JSON made of one."""
        boxes = tuple(Box.from_json(box) for box in data["boxes"])
        left, top, right, bottom = map(float, data["shown"])
        texts = {name: str(data[name]) for name in _TEXTS if name in data}
        place = int(data["place"])
        return cls(**{**data, **texts, "place": place, "boxes": boxes, "shown": (left, top, right, bottom)})


@dataclass(frozen=True, slots=True)
class Mistake:
    """A misclassified validation sample.

    Attributes:
        place: index in the validation split.
        true, predicted: names of classes; ``confidence`` is the probability given to ``predicted``.
        sample: its name in the data set: a path if it is a file.
        content: hash of what is stored there, in hexadecimal: a file that is another one by now is not shown.
    """

    place: int
    true: str
    predicted: str
    confidence: float
    sample: str = ""
    content: str = ""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Validation in detail at a trial's best epoch.

    Attributes:
        classes: one result per class, in the data set's order.
        confusion: rows are true classes, columns predicted ones; counts.
            Empty unless samples have exactly one class.
        mistakes: the most confident ones, in descending order of confidence.
        measured: results per class or number in the task's own metrics.
        pictures: samples worth looking at, the worst first.
        resampled: the study's objective on bootstrap samples of the validation data, the same ones in every trial.
    """

    classes: tuple[ClassResult, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    measured: tuple[Measured, ...] = ()
    pictures: tuple[Picture, ...] = ()
    resampled: tuple[float, ...] = ()

    @classmethod
    def from_json(cls, data: Json) -> Evaluation:
        """Read what ``dataclasses.asdict`` and JSON made of one."""
        classes = tuple(
            ClassResult(
                str(one["name"]), float(one["precision"]), float(one["recall"]), float(one["f1"]), int(one["support"])
            )
            for one in data["classes"]
        )
        mistakes = tuple(
            Mistake(
                int(one["place"]),
                str(one["true"]),
                str(one["predicted"]),
                float(one["confidence"]),
                str(one.get("sample", "")),
                str(one.get("content", "")),
            )
            for one in data.get("mistakes", ())
        )
        measured = tuple(
            Measured(
                str(one["name"]), {name: float(value) for name, value in one["values"].items()}, int(one["support"])
            )
            for one in data.get("measured", ())
        )
        pictures = tuple(Picture.from_json(picture) for picture in data.get("pictures", ()))
        confusion = tuple(tuple(map(int, row)) for row in data["confusion"])
        if any(len(row) != len(confusion) for row in confusion):
            raise ValueError("a confusion matrix is not square")
        return cls(classes, confusion, mistakes, measured, pictures, _resampled(data.get("resampled", ())))

    def named(self, inputs: Sequence[Named]) -> Evaluation:
        """Return the same with samples named: ``inputs`` are those of the validation split in order."""
        return replace(
            self,
            mistakes=tuple(_named(one, inputs[one.place]) for one in self.mistakes),
            pictures=tuple(_named(one, inputs[one.place]) for one in self.pictures),
        )


def _resampled(values: Sequence[Any]) -> tuple[float, ...]:
    """Return values that have a variance, or none."""
    found = tuple(map(float, values))
    if len(found) == 1 or not all(abs(value) < _SQUARABLE for value in found):
        raise ValueError("the values on bootstrap samples have no variance")
    return found


_Shown = TypeVar("_Shown", Mistake, Picture)


def _named(shown: _Shown, sample: Named) -> _Shown:
    """Return ``shown`` with the name of its sample and the hash of the content, empty if its file is gone by now."""
    try:
        content = sample.digest().hex()
    except OSError:
        content = ""
    return replace(shown, sample=sample.name, content=content)
