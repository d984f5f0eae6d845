"""Leakage: inputs that are in training and in another split too, where they measure memorisation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from search.data.assembly import in_parallel
from search.data.sample import Sample, Split
from search.records.study import Overlap


def overlaps(samples: Sequence[Sample]) -> tuple[Overlap, ...]:
    """Return every split that shares inputs with training, and training itself if it has duplicates.

    Inputs are the same if their stored content is, byte for byte; a picture that was saved again counts as another.

    Raises:
        OSError: a file of the data set is gone.
    """
    digests = in_parallel(lambda sample: sample.input.digest(), samples)
    parts = {
        split: [(digest, one) for digest, one in zip(digests, samples, strict=True) if one.split is split]
        for split in Split
    }
    trained = Counter(digest for digest, _ in parts[Split.TRAIN])
    rows = []
    for split in (Split.VAL, Split.TEST):
        shared = [sample for digest, sample in parts[split] if digest in trained]
        if shared:
            rows.append(Overlap(split.value, len(shared), len(parts[split]), shared[0].input.name))
    twice = [sample for digest, sample in parts[Split.TRAIN] if trained[digest] > 1]
    if twice:
        count = len(parts[Split.TRAIN]) - len(trained)
        rows.append(Overlap(Split.TRAIN.value, count, len(parts[Split.TRAIN]), twice[0].input.name))
    return tuple(rows)
