"""Assembles a data set from listed inputs: decodes each once, splits, fingerprints. Every format ends here."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from search.artifacts import partial_files
from search.data import decoding
from search.data.broken_samples import OnError, refuse_unreadable, why_broken
from search.data.images import FileImage
from search.data.sample import Dataset, Sample, Source, Split
from search.data.split_options import Divide, SplitOptions
from search.errors import DataError
from search.records.plain_text import LONGEST_NAME, shortened

logger = logging.getLogger(__name__)
_CHECKS = b"3"
"""Version of the checks that verify contents."""
T = TypeVar("T")
R = TypeVar("R")


class Stored(Source, Protocol):
    """An input as a format lists it, with a hash of its content."""

    def digest(self) -> bytes:
        """Return a hash of the stored content."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An input with its label as stored (a class name, for example), and its split if the data set assigns one."""

    input: Stored
    label: Any
    split: Split | None = None


def cache_folder() -> Path:
    """Return this machine's cache: ``FTSEARCH_CACHE``, else ``ftsearch`` in the user's cache folder."""
    given = os.environ.get("FTSEARCH_CACHE")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ftsearch"


def decoded_folder(*, enabled: bool) -> Path | None:
    """Return the folder of decoded images shared between processes; None if the study keeps them in memory only."""
    return cache_folder() / "decoded" if enabled else None


def in_parallel(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Return ``function`` of every item, in order, computed in threads: decoding and hashing release the GIL."""
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 16)) as pool:
        return list(pool.map(function, items, chunksize=16))


def assemble(
    name: str, listed: Sequence[Listed], options: SplitOptions, classes: Sequence[str] | None = None
) -> Dataset:
    """Return the data set of the listed images, each decoded once to verify that it can be.

    Without a validation split one is drawn from the training images, stratified and seeded. ``classes`` gives
    the order of labels; by default they are sorted by name.

    Raises:
        DataError: broken images (unless ``on_error`` is ``skip``), fewer than two classes, a class without
            images in training or validation.
    """
    if not listed:
        raise DataError(f"{name}: no images found")
    listed, digests, skipped = readable(name, listed, options.on_error)
    names = tuple(classes or sorted({item.label for item in listed}))
    _check_names(name, names)
    _check_classes(name, names, listed)
    index = {label: number for number, label in enumerate(names)}
    samples = [Sample(item.input, index[item.label], item.split or Split.TRAIN) for item in listed]
    samples = _cut(samples, options.by_class(names), options.test_share)
    _check_splits(name, names, samples)
    return _fingerprinted(Dataset(name, names, tuple(samples), "", skipped), digests, lambda target: names[target])


def gather(
    name: str,
    listed: Sequence[Listed],
    options: SplitOptions,
    *,
    names: Sequence[str],
    encode: Callable[[Any], Any],
    written: Callable[[Any], str],
    divide: Divide,
) -> Dataset:
    """Return the data set of ``listed`` inputs whose targets are not single classes; each is checked to be readable.

    Args:
        names: of the classes, or of the numbers that are predicted.
        encode: turns a label into a target; ``written`` describes the target in words that identify it.
        divide: called if no input is marked for validation, with the options' ``test_share``, or with 0 if there are
            test inputs already.

    Raises:
        DataError: inputs that cannot be read (unless ``on_error`` is ``skip``), no inputs, a part that is empty.
    """
    if not listed:
        raise DataError(f"{name}: nothing found")
    _check_names(name, names)
    listed, digests, skipped = readable(name, listed, options.on_error)
    samples = [Sample(item.input, encode(item.label), item.split or Split.TRAIN) for item in listed]
    samples = _cut(samples, divide, options.test_share)
    for split, what in ((Split.TRAIN, "training"), (Split.VAL, "validation")):
        if not any(sample.split is split for sample in samples):
            raise DataError(f"{name}: no {what} samples")
    return _fingerprinted(Dataset(name, tuple(names), tuple(samples), "", skipped), digests, written)


def readable(
    name: str, listed: Sequence[Listed], on_error: OnError
) -> tuple[list[Listed], list[bytes], tuple[str, ...]]:
    """Return the readable part of ``listed``, the hash of each input, and a line for each one skipped.

    Raises:
        DataError: something cannot be read and ``on_error`` is ``refuse``.
    """
    digests = in_parallel(lambda item: item.input.digest(), listed)
    return _without_broken(name, list(listed), digests, on_error)


def _without_broken(
    name: str, listed: list[Listed], digests: list[bytes], on_error: OnError
) -> tuple[list[Listed], list[bytes], tuple[str, ...]]:
    marker = cache_folder() / "checked" / hashlib.sha256(b"".join((_CHECKS, *sorted(digests)))).hexdigest()
    known = _checked(marker)
    if known is not None:
        return _with_levels(listed, known.get("levels")), digests, ()
    reasons = in_parallel(lambda item: why_broken(item.input), listed)
    broken = [(item.input, reason) for item, reason in zip(listed, reasons, strict=True) if reason]
    if not broken:
        levels = decoding.levels_of([one for one in in_parallel(_deep_extremes, listed) if one is not None])
        note(marker, json.dumps({"levels": levels}))
        return _with_levels(listed, levels), digests, ()
    if on_error == "refuse":
        refuse_unreadable(name, broken)
    kept = [index for index, reason in enumerate(reasons) if not reason]
    lines = tuple(f"{source.name}: {reason}" for source, reason in broken)
    whole = [listed[index] for index in kept]
    levels = decoding.levels_of([one for one in in_parallel(_deep_extremes, whole) if one is not None])
    return _with_levels(whole, levels), [digests[index] for index in kept], lines


def _deep_extremes(item: Listed) -> tuple[decoding.Levels, bool] | None:
    return decoding.deep_extremes(item.input.path) if isinstance(item.input, FileImage) else None


def _with_levels(listed: list[Listed], levels: Sequence[float] | None) -> list[Listed]:
    """Return ``listed`` with one intensity range shared by all images of more than 8 bits."""
    if levels is None:
        return listed
    scale = (levels[0], levels[1])
    return [
        replace(item, input=replace(item.input, levels=scale)) if isinstance(item.input, FileImage) else item
        for item in listed
    ]


def _checked(marker: Path) -> dict[str, Any] | None:
    """Return what was recorded when the same contents were last checked; None if they never were."""
    try:
        known = json.loads(marker.read_text())
    except (OSError, ValueError):
        return None
    return known if isinstance(known, dict) else None


def note(marker: Path, text: str) -> None:
    """Record facts about data in the cache, atomically."""
    try:
        marker.parent.mkdir(parents=True, exist_ok=True)
        partial_files.sweep(marker.parent)
        partial_files.write(marker, text.encode())
    except OSError as error:  # with a full or read-only cache, the data are merely checked again next time
        logger.debug("%s cannot be written: %s", marker, error)


def _check_classes(name: str, names: Sequence[str], listed: Iterable[Listed]) -> None:
    if len(names) < 2:
        classes = f"only the class {names[0]!r}" if names else "no class"
        raise DataError(f"{name}: {classes} found; classification needs at least two classes")
    counts = Counter(item.label for item in listed)
    empty = [label for label in names if not counts[label]]
    if empty:
        raise DataError(f"{name}: class {empty[0]!r} has no image; add some or remove the class")


def _cut(samples: list[Sample], divide: Divide, test_share: float) -> list[Sample]:
    """Split the training samples if none is for validation; ``divide`` is given their targets and the test share."""
    if any(sample.split is Split.VAL for sample in samples):
        return samples
    has_test = any(sample.split is Split.TEST for sample in samples)
    open_places = [index for index, sample in enumerate(samples) if sample.split is Split.TRAIN]
    parts = divide([samples[index].target for index in open_places], 0.0 if has_test else test_share)
    for index, split in zip(open_places, parts, strict=True):
        samples[index] = replace(samples[index], split=split)
    return samples


def _check_names(name: str, names: Sequence[str]) -> None:
    longest = max(names, key=len, default="")
    if len(longest) > LONGEST_NAME:
        raise DataError(
            f"{name}: {shortened(longest)!r} is taken for a name and has {len(longest)} characters; at most "
            f"{LONGEST_NAME} are expected: is it a text?"
        )


def _check_splits(name: str, names: Sequence[str], samples: Sequence[Sample]) -> None:
    counts = Counter((sample.split, sample.target) for sample in samples)
    for label, class_name in enumerate(names):
        if not counts[Split.TRAIN, label]:
            raise DataError(f"{name}: class {class_name!r} has no image to train on; every class needs some in train")
    if not any(sample.split is Split.VAL for sample in samples):
        raise DataError(f"{name}: no validation images")
    missing = [class_name for label, class_name in enumerate(names) if not counts[Split.VAL, label]]
    if missing:
        raise DataError(
            f"{name}: class {missing[0]!r} has no validation image; add some to val, or leave val out to cut it from "
            "train"
        )


def _fingerprinted(dataset: Dataset, digests: Sequence[bytes], written: Callable[[Any], str]) -> Dataset:
    """Return ``dataset`` with its fingerprint, its samples sorted as the fingerprint sorts them.

    Caches store arrays by position and are keyed by the fingerprint, so equal fingerprints must imply equal order,
    however a table is sorted and whatever its files are called.
    """
    lines = [
        f"{digest.hex()} {written(sample.target)} {sample.split}"
        for sample, digest in zip(dataset.samples, digests, strict=True)
    ]
    order = sorted(range(len(lines)), key=lines.__getitem__)
    text = "\n".join((*dataset.classes, *(lines[index] for index in order)))
    samples = tuple(dataset.samples[index] for index in order)
    content = text.encode("utf-8", "backslashreplace")
    return replace(dataset, samples=samples, fingerprint=hashlib.sha256(content).hexdigest())
