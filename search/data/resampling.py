"""Other splits of the same data: folds, a fraction of the labels, training and validation together."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from search.data.sample import Dataset, Part, Sample, Split
from search.errors import UserError


@dataclass(frozen=True, slots=True)
class Resampled:
    """A data set with a new split.

    Attributes:
        dataset: training samples first, then validation, then test; its fingerprint is its own.
        train, val: indices of its samples among those they were taken from: the samples of the original split, or,
            if ``pooled``, its training samples followed by its validation samples.
    """

    dataset: Dataset
    train: tuple[int, ...]
    val: tuple[int, ...]
    pooled: bool


def joined(dataset: Dataset) -> Resampled:
    """Return ``dataset`` with its validation samples among the training ones, and none left for validation."""
    pool = pool_of(dataset)
    whole = _cut(dataset, pool, tuple(range(len(pool))), (), pooled=True, how="joined")
    train = len(dataset.of(Split.TRAIN))
    added = Part(_mark(dataset.fingerprint, "validation samples for training"), len(pool) - train)
    parts = tuple(part for part in (Part(dataset.fingerprint, train), added) if part.count)
    return replace(whole, dataset=replace(whole.dataset, parts=parts))


def fold(dataset: Dataset, number: int, folds: int, seed: int) -> Resampled:
    """Return ``dataset`` with fold ``number`` of ``folds`` (counted from 1) of training and validation as validation.

    Folds are stratified and the same for the same ``seed``; every sample is validated once in all of them.

    Raises:
        UserError: a class has fewer samples than there are folds.
    """
    pool = pool_of(dataset)
    strata = [_stratum(sample) for sample in pool]
    label, least = min(Counter(strata).items(), key=lambda item: item[1])
    if least < folds:
        name = dataset.classes[label] if label < len(dataset.classes) else str(label)
        raise UserError(
            f"--folds {folds}: the class {name!r} has {least} samples in training and validation together; "
            f"at most {least} folds are possible"
        )
    from sklearn.model_selection import StratifiedKFold  # noqa: PLC0415  # loads pandas and scipy too

    cuts = StratifiedKFold(folds, shuffle=True, random_state=seed).split(strata, strata)
    train, val = list(cuts)[number - 1]
    places = tuple(map(int, train)), tuple(map(int, val))
    return _cut(dataset, pool, *places, pooled=True, how=f"fold {number} of {folds}, seed {seed}")


def share(resampled: Resampled, fraction: float, seed: int) -> Resampled:
    """Return ``resampled`` with ``fraction`` of its training samples, at least one of every class.

    A larger fraction of the same ``seed`` contains every smaller one.
    """
    training = resampled.dataset.of(Split.TRAIN)
    members: dict[int, list[int]] = defaultdict(list)
    for place, sample in enumerate(training):
        members[_stratum(sample)].append(place)
    kept: list[int] = []
    for label, places in sorted(members.items()):
        order = np.random.default_rng([seed, label]).permutation(len(places))
        kept += [places[index] for index in order[: max(round(fraction * len(places)), 1)]]
    kept.sort()
    others = [sample for sample in resampled.dataset.samples if sample.split is not Split.TRAIN]
    dataset = replace(
        resampled.dataset,
        samples=(*(training[index] for index in kept), *others),
        fingerprint=_mark(resampled.dataset.fingerprint, f"{fraction:g} of the training images, seed {seed}"),
        parts=(),
    )
    return replace(resampled, dataset=dataset, train=tuple(resampled.train[index] for index in kept))


def unchanged(dataset: Dataset) -> Resampled:
    """Return ``dataset`` as it is."""
    counts = [len(dataset.of(split)) for split in (Split.TRAIN, Split.VAL)]
    return Resampled(dataset, tuple(range(counts[0])), tuple(range(counts[1])), pooled=False)


def pool_of(dataset: Dataset) -> tuple[Sample, ...]:
    """Return the training samples followed by the validation samples."""
    return dataset.of(Split.TRAIN) + dataset.of(Split.VAL)


def _cut(
    dataset: Dataset, pool: Sequence[Sample], train: tuple[int, ...], val: tuple[int, ...], *, pooled: bool, how: str
) -> Resampled:
    parts = [replace(pool[index], split=Split.TRAIN) for index in train]
    parts += [replace(pool[index], split=Split.VAL) for index in val]
    own = replace(dataset, samples=(*parts, *dataset.of(Split.TEST)), fingerprint=_mark(dataset.fingerprint, how))
    return Resampled(own, train, val, pooled)


def _stratum(sample: Sample) -> int:
    """Return the class that a sample is stratified by; the same for all if samples have no single class."""
    return sample.target if isinstance(sample.target, int) else 0


def _mark(fingerprint: str, how: str) -> str:
    return hashlib.sha256(f"{fingerprint} {how}".encode()).hexdigest()
