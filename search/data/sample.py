"""What a data format yields and everything else takes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from PIL.Image import Image


class Split(StrEnum):
    """A part of the data. ``TEST`` is never looked at during a search."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class ImageSource(Protocol):
    """Where one image comes from; picklable, so that other processes can decode it."""

    @property
    def name(self) -> str:
        """What an error calls it: a path, or ``digits[17]``."""

    def open(self) -> Image:
        """Return the decoded image, RGB. Raises OSError or ValueError when it cannot be read."""

    def digest(self) -> bytes:
        """Return a hash of the stored content."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled image; ``label`` is an index into the data set's classes."""

    image: ImageSource
    label: int
    split: Split


@dataclass(frozen=True, slots=True)
class Dataset:
    """A labelled data set with its splits decided.

    Attributes:
        classes: names, in label order.
        fingerprint: changes whenever contents, labels or splits change; hexadecimal.
        skipped: samples left out under ``on_error: skip``, one line each with the reason.
    """

    name: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    fingerprint: str
    skipped: tuple[str, ...] = ()

    def of(self, split: Split) -> tuple[Sample, ...]:
        return tuple(sample for sample in self.samples if sample.split is split)
