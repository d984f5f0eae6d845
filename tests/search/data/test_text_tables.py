from __future__ import annotations

from pathlib import Path

import pytest

from search.data import text_tables
from search.data.sample import Split
from search.data.tabular import Row
from search.errors import DataError


def rows(path: Path) -> list[dict[str, str] | str]:
    _, tables = text_tables.tables_of(str(path), Path())
    return [row.values if isinstance(row, Row) else row for table in tables for row in table.rows]


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_tabs_part_unquoted_text_with_quotation_marks_in_it(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", 'text\tlabel\n"so it goes\t1\nhe said " no " .\t0\n" well "\t1\n')
    assert [row["text"] for row in rows(path)] == ['"so it goes', 'he said " no " .', '" well "']  # type: ignore[index]


def test_a_quotation_mark_that_another_line_closes_joins_no_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", 'text\tlabel\n"so it goes\t1\nit ends "\t0\n')
    assert len(rows(path)) == 2


def test_quoted_tabs_are_read_as_pandas_writes_them(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", 'text\tlabel\n"a\ttab and ""quotes"""\t1\n"two\nlines"\t0\n')
    assert [row["text"] for row in rows(path)] == ['a\ttab and "quotes"', "two\nlines"]  # type: ignore[index]


def test_unusual_line_separators_inside_a_text_part_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "text\tlabel\nfirst\u2028second\t1\r\n\nthird\t0\n")
    assert rows(path) == [{"text": "first\u2028second", "label": "1"}, {"text": "third", "label": "0"}]


def test_json_lines_keep_what_is_in_them(tmp_path: Path) -> None:
    path = write(
        tmp_path, "a.jsonl", '{"text": "a, b", "label": 1}\n\n{"text": "c", "label": null, "tags": ["x"]}\n[1]\n{'
    )
    assert rows(path)[:2] == [
        {"text": "a, b", "label": "1", "tags": ""},
        {"text": "c", "label": "", "tags": '["x"]'},
    ]
    assert "line 4: expected a JSON object" in str(rows(path)[2])
    assert "line 5: no valid JSON" in str(rows(path)[3])
    assert rows(write(tmp_path, "b.json", '[{"text": "x", "score": 2.5}]')) == [{"text": "x", "score": "2.5"}]


def test_a_row_with_too_many_fields_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'text,label\nhello, world,1\n"hello, world",0\n')
    assert "a.csv, line 2: 3 fields where the header has 2" in str(rows(path)[0])
    assert rows(path)[1] == {"text": "hello, world", "label": "0"}


def test_separators_at_the_ends_of_rows_add_no_field(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\nfine,a,\ngood,b,,\nbad,c\n")
    assert rows(path) == [
        {"text": "fine", "label": "a"},
        {"text": "good", "label": "b"},
        {"text": "bad", "label": "c"},
    ]


def test_files_of_a_folder_are_its_parts(tmp_path: Path) -> None:
    for name in ("train.tsv", "dev.tsv", "test.tsv", "notes.txt"):
        write(tmp_path, name, "text\tlabel\nx\t1\n")
    name, tables = text_tables.tables_of(str(tmp_path), Path())
    assert name == tmp_path.name
    assert [table.split for table in tables] == [Split.TRAIN, Split.VAL, Split.TEST]
    write(tmp_path, "valid.csv", "text,label\nx,1\n")
    with pytest.raises(DataError, match=r"has both dev.tsv and valid.csv for val; name a file"):
        text_tables.tables_of(str(tmp_path), Path())


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"\xff\xfe", "is not UTF-8 text"),
        ("a.csv", b"text,text\n", "a column is in the header twice: text, text"),
        ("a.json", b"[{]", "is not valid JSON"),
        ("a.json", b"[" * 100_000, "is not valid JSON: maximum recursion depth"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message):
        rows(tmp_path / name)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*none.csv"):
        rows(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"has no train file; expected train.csv \(.csv, .tsv"):
        rows(tmp_path)


def test_half_a_character_and_endless_nesting_are_rows_that_cannot_be_used(tmp_path: Path) -> None:
    lines = ['{"text": "fine", "label": 1}', '{"text": "\\ud83d", "label": 1}', '{"text": ' + "[" * 100_000]
    good, half, nested = rows(write(tmp_path, "a.jsonl", "\n".join(lines)))
    assert good == {"text": "fine", "label": "1"}
    assert "a.jsonl, line 2: holds an unpaired surrogate" in str(half)
    assert "a.jsonl, line 3: no valid JSON: maximum recursion depth" in str(nested)


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_the_separator_is_the_one_that_the_rows_show(tmp_path: Path, mark: str) -> None:
    text = f"text{mark}label\nfine, I say{mark}1\nbad{mark}0\n"
    assert rows(write(tmp_path, "a.csv", text)) == [
        {"text": "fine, I say", "label": "1"},
        {"text": "bad", "label": "0"},
    ]


def test_a_column_without_a_name_is_not_a_column(tmp_path: Path) -> None:
    _, (found,) = text_tables.tables_of(str(write(tmp_path, "a.csv", ",Unnamed: 0,text,label\n0,0,fine,1\n")), Path())
    assert found.columns == ("text", "label")
    (row,) = found.rows
    assert not isinstance(row, str)
    assert (row.values["text"], row.values["label"]) == ("fine", "1")


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("spam,win a price now\nham,see you at five\nspam,buy this and that\n", "label,text"),
        ("I liked it,1\nI did not,0\n", "text,label"),
        ("1,1\n1,1\n", "label,label2"),
    ],
)
def test_a_table_without_header_is_reported_so(tmp_path: Path, text: str, offered: str) -> None:
    path = write(tmp_path, "SMSSpamCollection", text)

    def opened() -> None:
        _, (found,) = text_tables.tables_of(str(path), Path())
        text_tables.column(found, None, text_tables.TEXT_NAMES, "texts", "text_column")

    with pytest.raises(DataError, match=rf"there seems to be no header, as line 1 is .*, such as `{offered}`"):
        opened()


def test_a_separator_that_parts_the_header_only_is_reported(tmp_path: Path) -> None:
    _, (found,) = text_tables.tables_of(str(write(tmp_path, "a.csv", "text;label\nx\n")), Path())
    with pytest.raises(DataError, match=r"no column with texts found; .*; columns seem to be separated by semicolons"):
        text_tables.column(found, None, text_tables.TEXT_NAMES, "texts", "text_column")
