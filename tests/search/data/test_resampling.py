from __future__ import annotations

from collections import Counter
from typing import cast

import pytest

from search.data import resampling
from search.data.sample import Dataset, Sample, Source, Split
from search.errors import UserError

SPLITS = (Split.TRAIN, Split.TRAIN, Split.TRAIN, Split.VAL, Split.VAL, Split.TEST)


def dataset(each: int = 1) -> Dataset:
    """Three classes, in each six times ``each`` samples; an image is only a number here."""
    samples = []
    for label in range(3):
        for split in SPLITS * each:
            samples.append(Sample(cast(Source, len(samples)), label, split))
    return Dataset("d", ("a", "b", "c"), tuple(samples), "ff")


def images(found: Dataset, split: Split) -> list[int]:
    return [cast(int, sample.input) for sample in found.of(split)]


def test_every_sample_is_validated_once_and_every_class_in_every_fold() -> None:
    whole = dataset(2)
    folds = [resampling.fold(whole, number, 4, seed=3) for number in range(1, 5)]
    validated = [image for fold in folds for image in images(fold.dataset, Split.VAL)]
    pool = [cast(int, sample.input) for sample in resampling.pool_of(whole)]
    assert sorted(validated) == sorted(pool)
    for fold in folds:
        assert {sample.target for sample in fold.dataset.of(Split.VAL)} == {0, 1, 2}
        assert images(fold.dataset, Split.TEST) == images(whole, Split.TEST)
        assert [pool[place] for place in fold.train] == images(fold.dataset, Split.TRAIN)
        assert [pool[place] for place in fold.val] == images(fold.dataset, Split.VAL)
    assert len({fold.dataset.fingerprint for fold in folds} | {whole.fingerprint}) == 5
    assert resampling.fold(whole, 2, 4, seed=3) == folds[1]


def test_more_folds_than_a_class_has_images_are_refused() -> None:
    with pytest.raises(UserError, match=r"--folds 6: the class 'a' has 5 samples in training and validation together"):
        resampling.fold(dataset(), 1, 6, seed=0)


def test_a_share_holds_every_class_and_smaller_shares_are_part_of_larger_ones() -> None:
    whole = resampling.unchanged(dataset(10))
    tenth, half = (resampling.share(whole, fraction, seed=5) for fraction in (0.1, 0.5))
    assert Counter(sample.target for sample in tenth.dataset.of(Split.TRAIN)) == {0: 3, 1: 3, 2: 3}
    assert set(images(tenth.dataset, Split.TRAIN)) < set(images(half.dataset, Split.TRAIN))
    assert images(half.dataset, Split.VAL) == images(whole.dataset, Split.VAL)
    original = images(whole.dataset, Split.TRAIN)
    assert [original[place] for place in half.train] == images(half.dataset, Split.TRAIN)
    assert len(resampling.share(whole, 0.001, seed=5).train) == 3
    assert resampling.share(whole, 0.5, seed=6).train != half.train


def test_a_share_of_a_fold_counts_places_in_the_pool() -> None:
    whole = dataset(4)
    found = resampling.share(resampling.fold(whole, 1, 3, seed=0), 0.5, seed=1)
    pool = [cast(int, sample.input) for sample in resampling.pool_of(whole)]
    assert [pool[place] for place in found.train] == images(found.dataset, Split.TRAIN)


def test_joined_data_trains_on_all_but_the_test_images() -> None:
    whole = dataset()
    found = resampling.joined(whole)
    assert len(found.dataset.of(Split.TRAIN)) == 15
    assert found.dataset.of(Split.VAL) == ()
    assert len(found.dataset.of(Split.TEST)) == 3
