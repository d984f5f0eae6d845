from __future__ import annotations

import math
from dataclasses import replace

from search.records.dataset_similarity import Traits, distance, traits_of
from search.records.study import DatasetRecord, StudyRecord

PETS = Traits("classification", 3000, 37, 0.9, 224.0, {"brightness": 0.5, "side": 400.0})


def test_equal_data_are_at_no_distance_and_another_task_is_not_a_neighbour() -> None:
    assert distance(PETS, PETS) == 0
    assert math.isinf(distance(PETS, replace(PETS, task="detection")))


def test_every_trait_counts_both_ways() -> None:
    changes: list[dict[str, object]] = [
        {"images": 300}, {"classes": 2}, {"evenness": 0.1}, {"input": 32.0}, {"image_statistics": {"brightness": 0.1}},
        {"image_statistics": {"side": 28.0}},
    ]  # fmt: skip
    for change in changes:
        other = replace(PETS, **change)  # type: ignore[arg-type]
        assert distance(PETS, other) == distance(other, PETS) > 0, change


def test_a_factor_of_four_counts_as_one_and_what_is_unknown_not_at_all() -> None:
    plain = Traits("t", 400, 10, 1.0)
    assert distance(plain, replace(plain, images=1600)) == 1 / 2.5
    assert distance(replace(plain, input=32.0), plain) == 0
    assert distance(replace(plain, images=0), plain) < 100


def test_traits_are_read_from_a_study() -> None:
    dataset = DatasetRecord(
        "d", ("a", "b"), {"train": {"a": 30, "b": 10}, "val": {"a": 5}}, "f", image_statistics={"side": 9.0}
    )
    study = StudyRecord("s", "t", "accuracy", True, "b", "w", dataset, 3, identity={"input_size": [16, 64]})
    assert traits_of(study) == Traits("t", 40, 2, 1 / 3, 32.0, {"side": 9.0})
    empty = replace(study, dataset=DatasetRecord("d", ("a",), {}, "f"), identity=None)
    assert traits_of(empty) == Traits("t", 0, 1, 1.0)
