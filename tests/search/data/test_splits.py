from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.data.sample import Split
from search.data.splits import cut
from search.errors import DataError


@given(
    counts=st.lists(st.integers(3, 40), min_size=2, max_size=5),
    val=st.floats(0.05, 0.5),
    test=st.sampled_from([0.0, 0.1, 0.3]),
    seed=st.integers(0, 99),
)
def test_every_class_is_in_every_part(counts: list[int], val: float, test: float, seed: int) -> None:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    names = [str(label) for label in range(len(counts))]
    splits = cut(labels, names, val, test, seed)
    assert splits == cut(labels, names, val, test, seed)
    found = Counter(zip(labels, splits, strict=True))
    parts = (Split.TRAIN, Split.VAL) if test == 0 else tuple(Split)
    assert all(found[label, part] >= 1 for label in range(len(counts)) for part in parts)


def test_shares_are_kept_in_each_class() -> None:
    splits = cut([0] * 100 + [1] * 50, ["a", "b"], 0.2, 0.1, 0)
    assert Counter(splits[:100]) == {Split.TRAIN: 70, Split.VAL: 20, Split.TEST: 10}
    assert Counter(splits[100:]) == {Split.TRAIN: 35, Split.VAL: 10, Split.TEST: 5}


def test_a_class_that_is_too_small_to_cut_is_named() -> None:
    with pytest.raises(DataError, match="class 'b' has 1 images; at least 2"):
        cut([0, 0, 1], ["a", "b"], 0.2, 0.0, 0)
