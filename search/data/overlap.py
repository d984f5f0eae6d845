"""The same input in training and in another part: its value there says what was learnt by heart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from search.data.assembly import in_parallel
from search.data.sample import Sample, Split


def overlaps(samples: Sequence[Sample], noun: str) -> tuple[str, ...]:
    """Return a line for each part that shares inputs with training, and one for inputs that training has twice.

    Inputs are the same when their stored content is, byte for byte; a picture that was saved anew is another one.

    Args:
        noun: what the inputs are called, ``images``.

    Raises:
        OSError: a file of the data set is gone.
    """
    digests = in_parallel(lambda sample: sample.input.digest(), samples)
    parts = {
        split: [(digest, one) for digest, one in zip(digests, samples, strict=True) if one.split is split]
        for split in Split
    }
    trained = Counter(digest for digest, _ in parts[Split.TRAIN])
    lines = []
    for split in (Split.VAL, Split.TEST):
        shared = [sample for digest, sample in parts[split] if digest in trained]
        if shared:
            lines.append(
                f"{len(shared)} of {len(parts[split])} {split} {noun} are in train too, so values will be too good; "
                f"the first: {shared[0].input.name}"
            )
    if repeated := sum(count - 1 for count in trained.values()):
        lines.append(f"{repeated} of {len(parts[Split.TRAIN])} train {noun} are copies of others")
    return tuple(lines)
