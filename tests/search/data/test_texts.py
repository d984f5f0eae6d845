from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

from search.data.assembly import Listed
from search.data.sample import Split
from search.data.texts import Text, Words, limited, ordered_names, place_of
from search.records.plain_text import shortened


def test_the_name_of_a_text_shows_its_place_and_its_first_words() -> None:
    text = Text("a.tsv, line 3", "it  was\nfine " * 100)
    assert text.name.startswith("a.tsv, line 3: it was fine it was")
    assert text.name.endswith("…")
    assert len(text.name) <= 220
    assert Text("a", "one", "two").name == "a: one | two"
    assert Words("b, line 1", ("I", "am")).name == "b, line 1: I am"
    assert shortened("short") == "short"


def test_other_contents_have_other_hashes() -> None:
    pairs = [Text("a", "x", "y"), Text("a", "xy"), Text("a", "x"), Text("a", "y", "x")]
    assert len({text.digest() for text in pairs}) == 4
    assert Text("a", "x").digest() == Text("b", "x").digest()
    assert Words("a", ("x", "y")).digest() != Words("a", ("xy",)).digest()
    assert Text("a", "x", "y").open() == "x\ny"


def test_a_limit_draws_from_each_part_and_keeps_the_order() -> None:
    listed = [Listed(Text(str(n), "t"), "l", split) for split in (Split.TRAIN, Split.VAL, None) for n in range(10)]
    found = limited(listed, 4, 0)
    assert sum(item.split is Split.VAL for item in found) == 4
    assert sum(item.split is not Split.VAL for item in found) == 4  # no split yet: to be cut from training
    assert found == [item for item in listed if item in found]
    assert limited(listed, 4, 1) != found
    assert limited(listed, None, 0) == listed


def test_a_limit_takes_every_class_its_share() -> None:
    labels = ["common"] * 95 + ["rare"] * 5
    listed = [Listed(Text(str(number), "t"), label, None) for number, label in enumerate(labels)]
    assert Counter(item.label for item in limited(listed, 20, 3)) == {"common": 19, "rare": 1}
    tagged = [Listed(Text(str(n), "t"), ("O", "B-X") if n == 7 else ("O",), None) for n in range(50)]
    assert any("B-X" in item.label for item in limited(tagged, 5, 0))
    assert len(limited([Listed(Text(str(n), "t"), (n / 7,), None) for n in range(50)], 5, 0)) == 5


def test_labels_that_are_numbers_are_sorted_as_numbers() -> None:
    assert ordered_names(["10", "9", "-1", "9"]) == ("-1", "9", "10")
    assert ordered_names(["b", "10", "9"]) == ("10", "9", "b")
    assert ordered_names(["²", "1"]) == ("1", "²")
    assert ordered_names(["--1", "1"]) == ("--1", "1")


def test_a_place_is_known_of_every_text() -> None:
    assert place_of(Listed(Text("a, line 1", "x"), 0)) == "a, line 1"


def test_the_order_of_classes_is_the_same_in_every_process() -> None:
    """``1`` and ``01`` are equal as numbers; their order must not be that of a set."""
    program = (
        "from search.data.texts import ordered_names; print(ordered_names(['1', '01', '001', '2', '-0', '0', '00']))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in range(3)
    }
    assert found == {"('-0', '0', '00', '001', '01', '1', '2')\n"}
