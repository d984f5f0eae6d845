"""The types that data formats produce and everything else consumes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from search.records.plain_text import curtailed, printable


class Split(StrEnum):
    """A part of the data. ``TEST`` is never used during a search."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Source(Protocol):
    """The source of one input; picklable, so that other processes can read it."""

    @property
    def name(self) -> str:
        """Its name in errors: a path, ``digits[17]``, or ``reviews.csv, line 3``."""

    def open(self) -> Any:
        """Return what is stored: for an image a ``PIL.Image.Image`` in RGB, for a text its string.

        Raises OSError or ValueError if it cannot be read.
        """

    def digest(self) -> bytes:
        """Return a hash of the stored content."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One input and its target.

    Attributes:
        target: as the task's formats define it: a class index for classification, class indices ``(0, 3)`` for several
            labels, numbers ``(1.5,)`` for regression; plain, hashable data.
    """

    input: Source
    target: Any
    split: Split


@dataclass(frozen=True, slots=True)
class Part:
    """Training samples that are those of another data set, ``count`` of them in the same order.

    What is computed from the other's samples, named by its ``fingerprint``, need not be computed again.
    """

    fingerprint: str
    count: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """A labelled data set, split.

    Attributes:
        classes: names of the classes, by index; in regression, of the numbers that are predicted.
        samples: in an order determined by contents, labels and splits alone, not by file names or table rows, so that
            caches can store by position and be keyed by the fingerprint.
        fingerprint: changes whenever contents, labels or splits change; hexadecimal.
        skipped: samples left out under ``on_error: skip``, one line each with the reason.
        notes: anything else worth knowing about how the data were read (ignored files, duplicates), one line each.
        parts: what the training samples are made of, in their order, if they are those of other data sets.
    """

    name: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    fingerprint: str
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        # They are printed and stored, where bytes of a file name that are not UTF-8 would be invalid.
        object.__setattr__(self, "name", printable(self.name))
        object.__setattr__(self, "classes", tuple(map(printable, self.classes)))
        for name in ("skipped", "notes"):
            object.__setattr__(self, name, tuple(printable(curtailed(line)) for line in getattr(self, name)))

    def of(self, split: Split) -> tuple[Sample, ...]:
        return tuple(sample for sample in self.samples if sample.split is split)
