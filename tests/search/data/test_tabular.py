from __future__ import annotations

from pathlib import Path

import pytest

from search.data.sample import Split
from search.data.tabular import read_rows
from search.errors import DataError


def table(tmp_path: Path, text: str, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_know_their_line_and_their_part(tmp_path: Path) -> None:
    columns, rows = read_rows(table(tmp_path, "a, b,split\n1, x ,train\n2,y,Validation\n3,,\n"), ("a", "b"))
    found = list(rows)
    assert columns == ("a", "b", "split")
    assert [row.values["b"] for row in found] == ["x", "y", ""]
    assert [row.split("split") for row in found] == [Split.TRAIN, Split.VAL, None]
    assert found[2].place.endswith("t.csv, line 4")


def test_quoted_fields_may_hold_commas_and_lines(tmp_path: Path) -> None:
    _, rows = read_rows(table(tmp_path, 'a,b\n"one\ntwo, three",4\n'), ("a",))
    assert next(rows).values == {"a": "one\ntwo, three", "b": "4"}


def test_tabs_part_the_columns_of_a_tsv(tmp_path: Path) -> None:
    _, rows = read_rows(table(tmp_path, "a\tb\n1,5\t2\n", "t.tsv"), ("a", "b"))
    assert next(rows).values == {"a": "1,5", "b": "2"}


@pytest.mark.parametrize(
    ("text", "message"),
    [("a,b\n1,2\n", "no column 'c'; the header has a, b"), ("", "no column 'c'; the header has nothing")],
)
def test_a_missing_column_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_rows(table(tmp_path, text), ("c",))


def test_an_empty_cell_a_missing_file_and_an_unknown_part_are_named_by_line(tmp_path: Path) -> None:
    _, rows = read_rows(table(tmp_path, "a,split\n,devel\nno.png,\n"), ("a",))
    first, second = rows
    with pytest.raises(DataError, match=r"line 2: the column 'a' is empty; every row needs a path"):
        first.image("a", tmp_path)
    with pytest.raises(DataError, match=r"line 2: unknown split 'devel'; expected train, val or test"):
        first.split("split")
    with pytest.raises(DataError, match=r"line 3: no file .*no\.png; paths start at"):
        second.image("a", tmp_path)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read the table .*: No such file"):
        read_rows(tmp_path / "none.csv", ())
    (tmp_path / "latin.csv").write_bytes("a\nM\xfcnchen\n".encode("latin-1"))
    with pytest.raises(DataError, match="is not UTF-8 text"):
        read_rows(tmp_path / "latin.csv", ())
