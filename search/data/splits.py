"""Seeded, stratified splits of labelled data."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from search.data.sample import Split
from search.errors import DataError
from search.records.plain_text import numbered


def cut(
    labels: Sequence[int], classes: Sequence[str], val_share: float, test_share: float, seed: int
) -> tuple[Split, ...]:
    """Return a split for every label: each class is divided by the given shares, with at least one sample in each part.

    scikit-learn's stratified split refuses parts smaller than the number of classes; small data sets need them.

    Raises:
        DataError: a class is too small to have a sample in each part.
    """
    parts = [(Split.VAL, val_share), (Split.TEST, test_share)]
    wanted = [(split, share) for split, share in parts if share > 0]
    members: dict[int, list[int]] = defaultdict(list)
    for index, label in enumerate(labels):
        members[label].append(index)
    result = [Split.TRAIN] * len(labels)
    for label, indices in sorted(members.items()):
        if len(indices) < len(wanted) + 1:
            raise DataError(
                f"class {classes[label]!r} has {len(indices)} sample{'s' * (len(indices) > 1)}; at least "
                f"{len(wanted) + 1} are needed to cut {' and '.join(split.value for split, _ in wanted)} from it: add "
                "some, or leave the class out"
            )
        order = np.random.default_rng([seed, label]).permutation(len(indices))
        start = 0
        for split, share in wanted:
            count = min(max(round(share * len(indices)), 1), len(indices) - len(wanted))
            for place in order[start : start + count]:
                result[indices[place]] = split
            start += count
    return tuple(result)


def cut_sets(
    members: Sequence[Sequence[int]], classes: int, val_share: float, test_share: float, seed: int
) -> tuple[Split, ...]:
    """Return a split for every sample, where sample ``n`` has the classes ``members[n]``, any number of them.

    Iterative stratification: the rarest class is dealt out first, each of its samples to the part that lacks it
    most (Sechidis et al. 2011, https://doi.org/10.1007/978-3-642-23808-6_10). So every class has its share in each
    part as far as it has samples; a class with few stays in training.

    Raises:
        DataError: fewer samples than parts.
    """
    shares = [(split, share) for split, share in _parts(val_share, test_share) if share > 0]
    if len(members) < len(shares):
        raise DataError(f"{numbered(len(members), 'samples')} cannot be cut into {len(shares)} parts; add some")
    random = np.random.default_rng(seed)
    weight = np.array([share for _, share in shares])
    shows = np.zeros((len(members), classes), dtype=bool)
    for index, kinds in enumerate(members):
        shows[index, list(kinds)] = True
    wanted, room = weight[:, None] * shows.sum(axis=0), weight * len(members)
    is_open, result = np.ones(len(members), dtype=bool), np.zeros(len(members), dtype=np.int64)

    def deal(index: int, lacking: NDArray[np.float64]) -> None:
        most = np.flatnonzero(lacking >= lacking.max() - 1e-9)
        roomiest = most[room[most] >= room[most].max() - 1e-9]
        part = int(random.choice(roomiest))
        result[index], is_open[index] = part, False
        room[part] -= 1
        wanted[part] -= shows[index]

    while (counts := shows[is_open].sum(axis=0)).any():
        kind = int(np.where(counts > 0, counts, len(members) + 1).argmin())
        for index in random.permutation(np.flatnonzero(is_open & shows[:, kind])):
            deal(int(index), wanted[:, kind])
    for index in random.permutation(np.flatnonzero(is_open)):
        deal(int(index), room)
    for part in range(1, len(shares)):  # a share below one sample still makes a part
        if not (result == part).any():
            result[int(random.choice(np.flatnonzero(result == 0)))] = part
    return tuple(shares[part][0] for part in result)


def cut_numbers(values: Sequence[float], val_share: float, test_share: float, seed: int) -> tuple[Split, ...]:
    """Return a split for every sample, in which each part has the same distribution of ``values``.

    Systematic sampling: sorted by value, samples are taken at equal intervals from a random start.

    Raises:
        DataError: fewer samples than parts.
    """
    parts = [(split, share) for split, share in _parts(val_share, test_share)[1:] if share > 0]
    if len(values) < len(parts) + 1:
        raise DataError(f"{numbered(len(values), 'samples')} cannot be cut into {len(parts) + 1} parts; add some")
    random = np.random.default_rng(seed)
    order = np.lexsort((random.random(len(values)), np.asarray(values, dtype=np.float64)))
    result = [Split.TRAIN] * len(values)
    for split, share in parts:
        count = min(max(round(share * len(values)), 1), len(order) - 1)
        taken = np.floor((np.arange(count) + random.random()) * len(order) / count).astype(np.int64)
        for index in order[taken]:
            result[int(index)] = split
        order = np.delete(order, taken)
    return tuple(result)


def draw(members: Sequence[Sequence[Hashable]], limit: int, seed: int | Sequence[int]) -> list[int]:
    """Return the indices of at most ``limit`` samples, stratified; sample ``n`` has the classes ``members[n]``.

    Every class keeps its share, and at least one sample as far as the limit allows. Sorted.
    """
    if len(members) <= limit:
        return list(range(len(members)))
    order = np.random.default_rng(seed).permutation(len(members)).tolist()
    counts = Counter(kind for kinds in members for kind in set(kinds))
    if all(len(kinds) == 1 for kinds in members):
        quotas = _quotas(counts, limit)
    else:  # samples of several classes: one of each class, the rarest first, then any others
        order = _covering(members, order, counts) + order
        quotas = Counter()
    kept: dict[int, None] = {}
    for index in order:
        if len(kept) < limit and index not in kept and (not quotas or quotas[members[index][0]] > 0):
            kept[index] = None
            if quotas:
                quotas[members[index][0]] -= 1
    return sorted(kept)


def _quotas(counts: Counter[Hashable], limit: int) -> Counter[Hashable]:
    """Return how many samples of each class to draw (largest remainder), at least one each if possible."""
    total = counts.total()
    exact = {kind: limit * count / total for kind, count in counts.items()}
    quotas = Counter({kind: max(int(share), 1) for kind, share in exact.items()})
    while quotas.total() > limit:  # classes with more than one first, then the rarest
        kind = max(quotas, key=lambda one: (quotas[one] > 1, quotas[one] - exact[one]))
        quotas[kind] -= 1
    while quotas.total() < limit:
        quotas[max(quotas, key=lambda one: (quotas[one] < counts[one], exact[one] - quotas[one]))] += 1
    return quotas


def _covering(members: Sequence[Sequence[Hashable]], order: Sequence[int], counts: Counter[Hashable]) -> list[int]:
    """Return indices of samples that cover every class, the rarest first."""
    first: dict[Hashable, int] = {}
    for index in order:
        for kind in members[index]:
            first.setdefault(kind, index)
    rarest = sorted(first, key=lambda kind: (counts[kind], order.index(first[kind])))
    return [first[kind] for kind in rarest]


def _parts(val_share: float, test_share: float) -> list[tuple[Split, float]]:
    return [(Split.TRAIN, 1 - val_share - test_share), (Split.VAL, val_share), (Split.TEST, test_share)]
