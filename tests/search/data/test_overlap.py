from __future__ import annotations

from collections.abc import Sequence

from search.data.overlap import overlaps
from search.data.sample import Sample, Split
from search.data.texts import Text
from search.records.study import Overlap


def samples(*texts: tuple[str, Split]) -> Sequence[Sample]:
    return [Sample(Text(f"t.csv, line {line}", text), 0, split) for line, (text, split) in enumerate(texts, 2)]


def test_what_training_has_too_is_reported_for_each_part() -> None:
    parts = (("a", Split.TRAIN), ("b", Split.TRAIN), ("c", Split.VAL), ("b", Split.VAL), ("a", Split.TEST))
    found = overlaps(samples(*parts))
    assert found == (Overlap("val", 1, 2, "t.csv, line 5: b"), Overlap("test", 1, 1, "t.csv, line 6: a"))
    assert [one.words("texts") for one in found] == [
        "1 of 2 validation texts are in training too, so results on them are too optimistic; the first: "
        "t.csv, line 5: b.",
        "1 of 1 test texts are in training too, so results on them are too optimistic; the first: t.csv, line 6: a.",
    ]


def test_duplicates_within_training_are_counted() -> None:
    (found,) = overlaps(samples(("a", Split.TRAIN), ("a", Split.TRAIN), ("a", Split.TRAIN), ("b", Split.VAL)))
    assert found == Overlap("train", 2, 3, "t.csv, line 2: a")
    assert found.words("texts") == "2 of 3 training texts are duplicates of others; one of them: t.csv, line 2: a."


def test_parts_without_copies_say_nothing() -> None:
    assert overlaps(samples(("a", Split.TRAIN), ("b", Split.VAL), ("b", Split.VAL))) == ()
