"""Text inputs: single texts, pairs, or tagged words, and the final steps that all text formats share."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from search.data import splits
from search.data.assembly import Listed, gather
from search.data.broken_samples import refuse
from search.data.sample import Dataset, Source, Split
from search.data.split_options import Divide, SplitOptions
from search.records.plain_text import shortened

_WHOLE = re.compile(r"-?[0-9]+")
"""Characters of a text shown in its name."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text, perhaps with a second one (premise and hypothesis, question and answer)."""

    place: str
    text: str
    pair: str | None = None

    @property
    def name(self) -> str:
        """The place, ``reviews.csv, line 3``, and the beginning of the text: pages show mistakes by it."""
        whole = self.text if self.pair is None else f"{self.text} | {self.pair}"
        return f"{self.place}: {shortened(whole)}"

    @property
    def length(self) -> int:
        return len(self.text) + len(self.pair or "")

    def open(self) -> str:
        return self.text if self.pair is None else f"{self.text}\n{self.pair}"

    def digest(self) -> bytes:
        return hashlib.sha256("\0".join(filter(None, (self.text, self.pair))).encode()).digest()


@dataclass(frozen=True, slots=True)
class Words:
    """A sentence of words, each of which has a tag."""

    place: str
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.place}: {shortened(' '.join(self.words))}"

    @property
    def length(self) -> int:
        return sum(len(word) + 1 for word in self.words)

    def open(self) -> str:
        return " ".join(self.words)

    def digest(self) -> bytes:
        return hashlib.sha256("\0".join(self.words).encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOptions(SplitOptions):
    """The options that all text formats share.

    Attributes:
        limit: most samples to take from each split, drawn with ``seed``; all by default.
    """

    limit: int | None = None

    def __post_init__(self) -> None:
        SplitOptions.__post_init__(self)
        if self.limit is not None and self.limit < 2:
            raise ValueError(f"limit must be at least 2 samples, got {self.limit}")


def collect(
    name: str,
    listed: Sequence[Listed],
    problems: Sequence[str],
    options: TextOptions,
    *,
    names: Sequence[str],
    encode: Callable[[Any], Any],
    written: Callable[[Any], str],
    divide: Divide,
) -> Dataset:
    """Return the data set of ``listed`` texts, the longest first, so that batches in order need little padding.

    Args:
        problems: one line for every row that cannot be used.
        names, encode, written, divide: as in ``assembly.gather``.

    Raises:
        DataError: there are problems (unless ``on_error`` is ``skip``), or a part is empty.
    """
    refuse(problems, options.on_error)
    ordered = sorted(limited(listed, options.limit, options.seed), key=lambda item: -_length(item.input))
    dataset = gather(name, ordered, options, names=names, encode=encode, written=written, divide=divide)
    # Stable, so that the order remains a function of the content, as the fingerprint promises.
    samples = sorted(dataset.samples, key=lambda sample: -_length(sample.input))
    return replace(dataset, samples=tuple(samples), skipped=(*problems, *dataset.skipped))


def place_of(item: Listed) -> str:
    """Return the place of a listed text, ``reviews.csv, line 3``."""
    return item.input.place if isinstance(item.input, Text | Words) else item.input.name


def _length(text: Source) -> int:
    return text.length if isinstance(text, Text | Words) else 0


def limited(listed: Sequence[Listed], limit: int | None, seed: int) -> list[Listed]:
    """Return at most ``limit`` samples of each split, stratified by class, in their original order."""
    if limit is None:
        return list(listed)
    kept: list[int] = []
    for number, split in enumerate(Split):
        places = [index for index, item in enumerate(listed) if (item.split or Split.TRAIN) is split]
        drawn = splits.draw([_classes(listed[index].label) for index in places], limit, [seed, number])
        kept += [places[index] for index in drawn]
    return [listed[index] for index in sorted(kept)]


def _classes(label: Any) -> tuple[str, ...]:
    """Return the class names in a label: one, several, or none if it is numbers."""
    given = label if isinstance(label, tuple) else (label,)
    return tuple(dict.fromkeys(one for one in given if isinstance(one, str)))


def ordered_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the distinct ``labels`` sorted, numerically if all are integers."""
    names = sorted(set(labels))
    # Stable: 1 and 01 keep the order of the data; that of a set differs from process to process.
    return tuple(sorted(names, key=int) if all(map(_WHOLE.fullmatch, names)) else names)
