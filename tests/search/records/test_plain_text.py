from __future__ import annotations

import pytest

from search.records.plain_text import printable, printable_lines


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
