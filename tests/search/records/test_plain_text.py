from __future__ import annotations

import pytest

from search.records.plain_text import curtailed, numbered, printable, printable_lines


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cats and dogs", "cats and dogs"),
        ("häuser עברית \N{DOG FACE}", "häuser עברית \N{DOG FACE}"),
        ("\x1b[2Jred", "\\x1b[2Jred"),
        ("a\nb\tc\x07", "a\\nb\\tc\\x07"),
        ("cat\u202egpj.exe", "cat\\u202egpj.exe"),
        ("\udcff", "\\udcff"),
    ],
)
def test_a_name_is_shown_without_what_a_terminal_obeys(name: str, shown: str) -> None:
    assert printable(name) == shown


def test_lines_stay_lines() -> None:
    assert printable_lines("a\n\x1bb\r\n") == "a\n\\x1bb\\r\n"


def test_a_long_line_keeps_its_beginning_and_its_end() -> None:
    assert curtailed("short") == "short"
    line = curtailed(f"file.csv, line 3: {'a' * 10_000}: no such class")
    assert len(line) == 2001
    assert line.startswith("file.csv, line 3: aaa")
    assert line.endswith("aaa: no such class")


@pytest.mark.parametrize(
    ("count", "plural", "expected"),
    [(0, "classes", "0 classes"), (1, "classes", "1 class"), (2, "tags", "2 tags"), (1, "tags", "1 tag")],
)
def test_one_is_singular(count: int, plural: str, expected: str) -> None:
    assert numbered(count, plural) == expected
