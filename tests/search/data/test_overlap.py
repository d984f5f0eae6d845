from __future__ import annotations

from collections.abc import Sequence

from search.data.overlap import overlaps
from search.data.sample import Sample, Split
from search.data.texts import Text


def samples(*texts: tuple[str, Split]) -> Sequence[Sample]:
    return [Sample(Text(f"t.csv, line {line}", text), 0, split) for line, (text, split) in enumerate(texts, 2)]


def test_what_training_has_too_is_told_for_each_part() -> None:
    found = overlaps(
        samples(
            ("a", Split.TRAIN),
            ("b", Split.TRAIN),
            ("c", Split.VAL),
            ("b", Split.VAL),
            ("a", Split.TEST),
        ),
        "texts",
    )
    assert found == (
        "1 of 2 val texts are in train too, so values will be too good; the first: t.csv, line 5: b",
        "1 of 1 test texts are in train too, so values will be too good; the first: t.csv, line 6: a",
    )


def test_copies_within_training_are_counted() -> None:
    found = overlaps(samples(("a", Split.TRAIN), ("a", Split.TRAIN), ("a", Split.TRAIN), ("b", Split.VAL)), "texts")
    assert found == ("2 of 3 train texts are copies of others",)


def test_parts_without_copies_say_nothing() -> None:
    assert overlaps(samples(("a", Split.TRAIN), ("b", Split.VAL), ("b", Split.VAL)), "texts") == ()
