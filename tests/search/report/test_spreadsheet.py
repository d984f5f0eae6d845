from __future__ import annotations

import csv
import io

import pytest

from search.report.spreadsheet import harmless, write_rows, write_table


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1"),
        *("=HYPERLINK('http://x')", "-inf", "+nan", "-", "--5"),
    ],
)
def test_what_begins_like_a_formula_is_made_harmless(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("value", ["cat", "", "a=b", "-0.500000", "+1e-3", "-7", 3, -2.5, None, True, "'=1", "5-4"])
def test_numbers_and_plain_texts_stay(value: object) -> None:
    assert harmless(value) == value


def test_no_cell_of_a_table_is_a_formula_its_header_neither() -> None:
    file = io.StringIO()
    write_rows(file, ("=name", "value"), [("=cmd", -1.5), ("a,b\n", "-1")])
    rows = list(csv.reader(io.StringIO(file.getvalue(), newline="")))
    assert rows == [["'=name", "value"], ["'=cmd", "-1.5"], ["a,b\n", "-1"]]


def test_rows_by_column_end_as_the_standard_says() -> None:
    file = io.StringIO()
    write_table(file, [{"a": 1, "b": "@x"}, {"a": None}])
    assert file.getvalue() == "a,b\r\n1,'@x\r\n,\r\n"
    file = io.StringIO()
    write_table(file, [])
    assert file.getvalue() == "number,state,value\r\n"
