"""Seeded, stratified cuts of labelled data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from search.data.sample import Split
from search.errors import DataError


def cut(
    labels: Sequence[int], classes: Sequence[str], val_share: float, test_share: float, seed: int
) -> tuple[Split, ...]:
    """Return a split for every label: each class is parted in the given shares, and has at least one in each part.

    scikit-learn's stratified cut refuses a part smaller than the number of classes; small data sets need one.

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
                f"class {classes[label]!r} has {len(indices)} images; at least {len(wanted) + 1} are needed to cut "
                f"{' and '.join(split.value for split, _ in wanted)} from it"
            )
        order = np.random.default_rng([seed, label]).permutation(len(indices))
        start = 0
        for split, share in wanted:
            count = min(max(round(share * len(indices)), 1), len(indices) - len(wanted))
            for place in order[start : start + count]:
                result[indices[place]] = split
            start += count
    return tuple(result)
