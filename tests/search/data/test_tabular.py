from __future__ import annotations

from pathlib import Path

import pytest

from search.data.sample import Split
from search.data.tabular import column_of, lines_of, read_rows, separator_of, usable
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


def test_a_column_of_its_own_may_mark_what_is_held_out(tmp_path: Path) -> None:
    """fastai's tables have ``is_valid``."""
    text = "a,is_valid,is_test\n1,True,0\n2,False,0\n3,0,1\n4,,\n5,1,\n"
    _, rows = read_rows(table(tmp_path, text), ("a",))
    found = list(rows)
    parts = [Split.VAL, Split.TRAIN, Split.TEST, Split.TRAIN, Split.VAL]
    assert [row.split("split") for row in found] == parts
    assert [row.split("is_valid") for row in found[1:3]] == [Split.TRAIN, Split.TRAIN]
    assert [row.split("") for row in found] == [None] * 5
    _, rows = read_rows(table(tmp_path, "a,split,is_valid\n1,train,True\n2,,True\n"), ("a",))
    assert [row.split("split") for row in rows] == [Split.TRAIN, None]
    _, rows = read_rows(table(tmp_path, "a,is_valid\n1,maybe\n"), ("a",))
    with pytest.raises(DataError, match=r"line 2: the column 'is_valid' must say 1 or 0, yes or no, got 'maybe'"):
        next(rows).split("split")


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


def test_what_cannot_be_read_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*none.csv: No such file"):
        read_rows(tmp_path / "none.csv", ())
    (tmp_path / "latin.csv").write_bytes("a\nM\xfcnchen\n".encode("latin-1"))
    with pytest.raises(DataError, match="is not UTF-8 text"):
        read_rows(tmp_path / "latin.csv", ())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "path;label\na, b;1,5\nc;2\n"),
        ("t.csv", "path\tlabel\na, b\t1,5\nc\t2\n"),
        ("t.tsv", 'path,label\n"a, b","1,5"\nc,2\n'),
        ("t.csv", "path|label\na, b|1,5\nc|2\n"),
        ("t", "path\tlabel\na, b\t1,5\nc\t2\n"),
    ],
)
def test_the_separator_is_the_one_that_the_rows_show(tmp_path: Path, name: str, text: str) -> None:
    columns, rows = read_rows(table(tmp_path, text, name), ("path",))
    assert columns == ("path", "label")
    assert [row.values for row in rows] == [{"path": "a, b", "label": "1,5"}, {"path": "c", "label": "2"}]


@pytest.mark.parametrize(
    ("name", "text", "mark"),
    [
        ("t.csv", "text,label\none;two,1\nthree;four,2\n", ","),  # both part evenly: that of the name
        ("t.csv", "text,label\none, two,1\nthree\n", ","),  # neither does
        ("t.csv", "a;b\n1;2;3\n", ","),
        ("t.tsv", 'text\tlabel\nit is 5" wide\t1\nand "so"\t2\n', "\t"),
        ("t.csv", "", ","),
        ("T.TSV", "", "\t"),
    ],
)
def test_what_splits_nothing_evenly_is_not_a_separator(name: str, text: str, mark: str) -> None:
    assert separator_of(name, text) == mark


def test_a_separator_that_parts_the_header_only_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column 'path'; .*; columns seem to be separated by semicolons"):
        read_rows(table(tmp_path, "path;label\na;b;c\n"), ("path",))


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("cats/1.png,cat\ndogs/2.JPG,dog\n", "path,label"),
        ("dog,cats/1.png,3.5\ncat,dogs/2.JPG,2\n", "label,path,label2"),
        ("a,b\nc,b\n", "label,label2"),
        ("0,0,0\n1,2,3\n", "label,label2,label3"),
    ],
)
def test_a_table_without_header_is_reported_so(tmp_path: Path, text: str, offered: str) -> None:
    with pytest.raises(
        DataError, match=rf"there seems to be no header, as line 1 is .*, such as `{offered}`"
    ) as raised:
        read_rows(table(tmp_path, text), ("image",))
    assert "\n" not in str(raised.value)


def test_a_header_is_not_taken_for_a_sample(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the header has file, label$"):
        read_rows(table(tmp_path, "file,label\na.png,cat\nb.png,dog\n"), ("path",))


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "Unnamed: 0_level_1", " "])
def test_a_column_without_a_name_is_not_a_column(tmp_path: Path, name: str) -> None:
    columns, rows = read_rows(table(tmp_path, f"{name},path,age\n0,a.png,3\n1,b.png,4\n"), ("path", "age"))
    assert columns == ("path", "age")
    assert [row.number("age") for row in rows] == [3, 4]


ODD = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e"
"""Characters at which Python's ``splitlines`` parts a text, beside the ends of lines."""


@pytest.mark.parametrize("mark", ODD)
def test_no_character_but_the_end_of_a_line_ends_a_row(tmp_path: Path, mark: str) -> None:
    _, rows = read_rows(table(tmp_path, f'a,b\n1{mark}2,"3{mark}4"\n5,6\n'), ("a", "b"))
    assert [row.values for row in rows] == [{"a": f"1{mark}2", "b": f"3{mark}4"}, {"a": "5", "b": "6"}]
    (tmp_path / "names.txt").write_text(f"a{mark}b\nc\n", encoding="utf-8")
    assert lines_of(tmp_path / "names.txt") == [f"a{mark}b", "c"]


def test_a_needed_column_may_be_in_the_header_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the column 'b' is in the header twice; rename one of them"):
        read_rows(table(tmp_path, "a,b,b\n1,2,3\n"), ("a", "b"))


def test_a_row_with_more_fields_than_the_header_is_refused_and_not_cut(tmp_path: Path) -> None:
    _, rows = read_rows(table(tmp_path, "a,b\n1,2,\n1,New York, NY\n"), ("a", "b"))
    assert next(rows).values == {"a": "1", "b": "2"}
    with pytest.raises(DataError, match="line 3: 3 fields where the header has 2; quote a value that holds"):
        next(rows).text("a", "a number")


def test_rows_that_cannot_be_used_are_reported_and_the_others_kept(tmp_path: Path) -> None:
    _, rows = read_rows(table(tmp_path, "a\n1\nx\n2,3\n4\n"), ("a",))
    found, problems = usable(rows, lambda row: row.number("a"))
    assert found == [1.0, 4.0]
    with pytest.raises(DataError, match=r"line 2: .* got 'x'; no row of the table can be used \(2 in all\)"):
        usable(read_rows(table(tmp_path, "a\nx\ny\n"), ("a",))[1], lambda row: row.number("a"))
    assert [line.split(", ", 1)[1].split(":")[0] for line in problems] == ["line 3", "line 4"]


def test_a_path_that_no_file_system_takes_is_not_a_file(tmp_path: Path) -> None:
    _, rows = read_rows(table(tmp_path, f"a\n{'x' * 200_000}\n"), ("a",))
    with pytest.raises(DataError, match=r"line 2: no file .*x…x+; paths start at"):
        next(rows).image("a", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nan", "must hold a finite number, got 'nan'"),
        ("1,5", "must hold a finite number, got '1,5'"),
        ("-1e30", r"must hold numbers up to 1e\+18, got '-1e30'; networks compute with 32 bits"),
    ],
)
def test_numbers_are_those_that_can_be_learnt(tmp_path: Path, text: str, message: str) -> None:
    _, rows = read_rows(table(tmp_path, f'a\n2.5\n"{text}"\n'), ("a",))
    assert next(rows).number("a") == 2.5
    with pytest.raises(DataError, match=message):
        next(rows).number("a")


def test_lines_of_a_list_are_read_without_blanks(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(b"\xef\xbb\xbfant\r\n\r\n wasp \r\n")
    assert lines_of(tmp_path / "names.txt") == ["ant", "wasp"]
    (tmp_path / "names.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"names\.txt is not UTF-8 text: invalid start byte at byte 0; save it as"):
        lines_of(tmp_path / "names.txt")
    with pytest.raises(DataError, match=r"cannot read .*: Is a directory; expected a text file"):
        lines_of(tmp_path)


def test_columns_are_found_whatever_their_case_and_separators_by_the_name(tmp_path: Path) -> None:
    assert column_of(("Path", "LABEL", "label"), ("class", "Label")) == "LABEL"
    assert column_of(("Path",), ("label",)) is None
    assert [separator_of(name) for name in ("a.csv", "A.TSV", tmp_path / "b.tsv")] == [",", "\t", "\t"]
