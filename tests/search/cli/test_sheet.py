from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from search.cli._tables import Sheet

ROWS = [
    ("1", "12", "complete", "0.98765", "12.34 M", "freezes three of ten units [and no more]"),
    ("2", "3", "failed", "", "9 k", ""),
]
SHEET = Sheet(("rank", "trial", "state", "accuracy", "parameters"), ROWS, left=("state",), words="candidate")


def printed(sheet: Sheet, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(sheet)
    lines = [line.rstrip() for line in out.getvalue().rstrip("\n").split("\n")]
    assert all(len(line) <= width for line in lines)
    return lines


@pytest.mark.parametrize("width", [18, 20, 30, 40, 60, 80, 100, 160])
def test_no_cell_is_cut_or_split_at_any_width(width: int) -> None:
    text = "\n".join(printed(SHEET, width))
    for row in ROWS:
        for cell in row[:-1]:
            assert cell in text
    assert "".join(ROWS[0][-1].split()) in "".join(text.split())


def test_a_wide_terminal_shows_a_table() -> None:
    assert printed(SHEET, 100) == [
        "rank  trial  state     accuracy  parameters  candidate",
        "   1     12  complete   0.98765     12.34 M  freezes three of ten units [and no more]",
        "   2      3  failed                     9 k",
    ]


def test_words_stand_below_their_row_where_there_is_little_room_beside_it() -> None:
    assert printed(SHEET, 60) == [
        "rank  trial  state     accuracy  parameters",
        "   1     12  complete   0.98765     12.34 M",
        "  freezes three of ten units [and no more]",
        "   2      3  failed                     9 k",
    ]


def test_words_that_have_half_of_the_terminal_are_folded_beside_their_row() -> None:
    wide = Sheet(("n",), [("1", "words " * 12), ("2", "few")], words="why")
    assert printed(wide, 40) == [
        "n  why",
        "1  words words words words words words",
        "   words words words words words words",
        "2  few",
    ]


def test_lines_of_words_become_one_in_a_pipe() -> None:
    assert printed(Sheet(("n",), [("1", "why\nwhat")], words="words"), 80) == ["n  words", "1  why; what"]


def test_a_narrow_terminal_shows_pairs_that_are_never_split() -> None:
    assert printed(SHEET, 40) == [
        "rank 1  trial 12  state complete",
        "accuracy 0.98765  parameters 12.34 M",
        "  freezes three of ten units [and no",
        "  more]",
        "rank 2  trial 3  state failed  accuracy",
        "parameters 9 k",
    ]


def test_short_words_stay_beside_their_row() -> None:
    assert printed(Sheet(("a",), [("1", "bcd")], words="w"), 8) == ["a  w", "1  bcd"]


def test_a_sheet_may_have_no_words_or_no_rows() -> None:
    assert printed(Sheet(("name", "n"), [("x", "1")], left=("name",)), 40) == ["name  n", "x     1"]
    assert printed(Sheet(("name", "n"), []), 40) == ["name  n"]


@pytest.mark.parametrize(
    "arguments", [("show", "squeezenet1_1", "--input", "64"), ("plan", "study.yaml"), ("diff", "colours:baseline", "2")]
)
def test_numbers_in_tables_of_commands_stay_whole(
    arguments: tuple[str, ...], here: Path, ftsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = ftsearch(*arguments)
    monkeypatch.setenv("COLUMNS", "40")
    narrow = ftsearch(*arguments)
    assert (wide.code, narrow.code) == (0, 0), wide.err + narrow.err
    table = "\n".join(line for line in wide.out.splitlines() if "  " in line.strip())  # no prose, which is wrapped
    numbers = set(re.findall(r"\b\d[\d.]* [kMG]\b", table))
    assert len(numbers) > 1
    assert {number for number in numbers if number not in narrow.out} == set()
    assert "…" not in narrow.out
    units = [line for line in narrow.out.splitlines() if "features." in line]
    assert units
    assert all(len(line.rstrip()) <= 40 for line in units)
