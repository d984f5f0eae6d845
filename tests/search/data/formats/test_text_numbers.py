from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search.data.formats.text_numbers import Options
from search.data.formats.text_numbers import format as plugin
from search.data.sample import Dataset, Split
from search.errors import DataError


def read(folder: Path, text: str, **options: Any) -> Dataset:
    (folder / "t.csv").write_text(text)
    return plugin.read(Options(path="t.csv", **options), folder)


def test_numbers_of_several_columns(tmp_path: Path) -> None:
    rows = "".join(f"text {n},{n / 2},{-n}\n" for n in range(20))
    found = read(tmp_path, f"sentence,score,other\n{rows}", target_columns=("score", "other"))
    assert found.classes == ("score", "other")
    assert {sample.target for sample in found.samples} == {(n / 2, float(-n)) for n in range(20)}
    assert len(found.of(Split.VAL)) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text,score\nx,high\n", r"line 2: the column 'score' must hold a finite number, got 'high'"),
        ("text,score\nx,inf\n", r"must hold a finite number, got 'inf'"),
        ("text,score\nx,\n", r"line 2: the column 'score' is empty; every row needs a number in 'score'"),
        ("text,points\nx,1\n", r"no column 'score'; the header has text, points"),
    ],
)
def test_bad_tables_are_answered_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_a_column_is_named_once() -> None:
    with pytest.raises(ValueError, match="target_columns must name each column once"):
        Options(path="x", target_columns=("a", "a"))
