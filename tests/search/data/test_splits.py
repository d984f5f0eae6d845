from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.data import splits
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
    with pytest.raises(DataError, match="class 'b' has 1 sample; at least 2"):
        cut([0, 0, 1], ["a", "b"], 0.2, 0.0, 0)


def test_every_label_has_its_share_in_each_part() -> None:
    random = np.random.default_rng(1)
    rates = [0.5, 0.3, 0.1, 0.04]
    members = [tuple(np.flatnonzero(random.random(4) < rates).tolist()) for _ in range(600)]
    found = splits.cut_sets(members, 4, 0.2, 0.1, seed=3)
    assert found == splits.cut_sets(members, 4, 0.2, 0.1, seed=3)
    assert found != splits.cut_sets(members, 4, 0.2, 0.1, seed=4)
    for split, share in ((Split.TRAIN, 0.7), (Split.VAL, 0.2), (Split.TEST, 0.1)):
        assert found.count(split) == pytest.approx(600 * share, abs=3)
        for kind in range(4):
            shown = [place for place, kinds in enumerate(members) if kind in kinds]
            there = sum(found[place] is split for place in shown)
            assert there == pytest.approx(len(shown) * share, abs=2)


def test_a_label_of_one_sample_stays_in_training_and_no_part_is_empty() -> None:
    found = splits.cut_sets([(0,), (0,), (1,), (), ()], 2, 0.1, 0.1, seed=0)
    assert found[2] is Split.TRAIN
    assert set(found) == set(Split)
    with pytest.raises(DataError, match="2 samples cannot be cut into 3 parts"):
        splits.cut_sets([(0,), ()], 1, 0.2, 0.2, seed=0)


def test_numbers_have_the_same_distribution_in_each_part() -> None:
    values = np.random.default_rng(0).exponential(size=500).tolist()
    found = splits.cut_numbers(values, 0.2, 0.1, seed=2)
    assert (found.count(Split.VAL), found.count(Split.TEST)) == (100, 50)
    for split in Split:
        part = [value for value, is_in in zip(values, found, strict=True) if is_in is split]
        for share in (0.1, 0.5, 0.9):
            assert np.quantile(part, share) == pytest.approx(np.quantile(values, share), rel=0.2, abs=0.05)
    assert found != splits.cut_numbers(values, 0.2, 0.1, seed=3)
    with pytest.raises(DataError, match="1 sample cannot be cut into 2 parts"):
        splits.cut_numbers([1.0], 0.5, 0.0, seed=0)


@given(
    counts=st.lists(st.integers(1, 60), min_size=2, max_size=8),
    limit=st.integers(1, 80),
    seed=st.integers(0, 9),
)
def test_a_draw_gives_every_class_its_share(counts: list[int], limit: int, seed: int) -> None:
    labels = [(str(label),) for label, count in enumerate(counts) for _ in range(count)]
    places = splits.draw(labels, limit, seed)
    assert places == sorted(set(places)) == splits.draw(labels, limit, seed)
    assert len(places) == min(limit, len(labels))
    found = Counter(int(labels[place][0]) for place in places)
    if limit >= len(counts):
        assert len(found) == len(counts)
    if all(limit * count >= sum(counts) for count in counts):  # no class is so rare that it is given more
        for label, count in enumerate(counts):
            assert abs(found[label] - min(limit / sum(counts), 1) * count) < 1


def test_a_draw_of_samples_with_several_classes_misses_none() -> None:
    members = [("a",)] * 90 + [("a", "b")] * 5 + [()] * 20 + [("c", "b")] + [("d",)]
    for seed in range(20):
        found = {kind for place in splits.draw(members, 6, seed) for kind in members[place]}
        assert found == {"a", "b", "c", "d"}
    assert len(splits.draw([()] * 50, 7, 0)) == 7
    assert splits.draw([()] * 5, 7, 0) == [0, 1, 2, 3, 4]
