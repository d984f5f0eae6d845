from __future__ import annotations

import pytest

from search.data import splits
from search.data.sample import Split
from search.data.split_options import SplitOptions

OPTIONS = SplitOptions(val_share=0.25, test_share=0.1, seed=3)


@pytest.mark.parametrize("shares", [(0.0, 0.1), (1.0, 0.0), (-0.1, 0.0), (0.5, 0.5)])
def test_shares_that_leave_nothing_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="share"):
        SplitOptions(val_share=shares[0], test_share=shares[1])


@pytest.mark.parametrize("seed", [-1, 2**32, 2**70])
def test_a_seed_that_a_generator_refuses_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed must be from 0 to 4294967295, got {seed}"):
        SplitOptions(seed=seed)


def test_one_class_a_sample_is_cut_class_by_class() -> None:
    labels = [0] * 20 + [1] * 8
    expected = splits.cut(labels, ["a", "b"], 0.25, 0.1, 3)
    assert OPTIONS.by_class(["a", "b"])(labels, 0.1) == expected
    assert [expected[:20].count(Split.VAL), expected[20:].count(Split.VAL)] == [5, 2]


def test_several_classes_a_sample_are_read_off_the_target() -> None:
    targets = [("x", (0, 1)), ("y", (1,)), ("z", ()), *[("w", (0,))] * 20]
    expected = splits.cut_sets([labels for _, labels in targets], 2, 0.25, 0.0, 3)
    assert OPTIONS.by_classes(2, lambda target: target[1])(targets, 0.0) == expected
    assert set(expected) == {Split.TRAIN, Split.VAL}


def test_numbers_are_cut_by_the_first_of_each_target() -> None:
    targets = [(float(number), -1.0) for number in range(40)]
    expected = splits.cut_numbers([float(number) for number in range(40)], 0.25, 0.1, 3)
    assert OPTIONS.by_number()(targets, 0.1) == expected
    assert expected.count(Split.VAL) == 10
