from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search.data.formats.text_labels import Options
from search.data.formats.text_labels import format as plugin
from search.data.sample import Dataset, Split
from search.errors import DataError


def read(folder: Path, text: str, name: str = "t.csv", **options: Any) -> Dataset:
    (folder / name).write_text(text)
    return plugin.read(Options(path=name, **options), folder)


ROWS = "".join(f"text {n},{';'.join(name for place, name in enumerate('ab') if n >> place & 1)}\n" for n in range(16))


def test_labels_in_one_column_in_a_json_list_and_in_columns_of_their_own(tmp_path: Path) -> None:
    first = read(tmp_path, f"text,labels\n{ROWS}")
    assert first.classes == ("a", "b")
    assert {sample.target for sample in first.samples} == {(), (0,), (1,), (0, 1)}
    assert len(first.of(Split.VAL)) == 3
    lines = "".join(
        f'{{"text": "text {n}", "labels": {[name for place, name in enumerate("ab") if n >> place & 1]}}}\n'
        for n in range(16)
    ).replace("'", '"')
    assert read(tmp_path, lines, "t.jsonl").fingerprint == first.fingerprint
    columns = "text,a,b\n" + "".join(f"text {n},{n & 1},{'yes' if n & 2 else 'no'}\n" for n in range(16))
    assert read(tmp_path, columns, label_columns=("a", "b")).fingerprint == first.fingerprint


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("text,labels\nx,\ny,\n", {}, "t: no training row has a label"),
        (
            "text,a,b\nx,2,0\n",
            {"label_columns": ("a", "b")},
            r"line 2: the column 'a' must say 1 or 0, yes or no, got '2'",
        ),
        ("text,a,b\nx,1,0\n", {"label_columns": ("a", "c")}, r"no column 'c'; the header has text, a, b"),
        ("text,a,b\nx,1,0\ny,1,0\n", {"label_columns": ("a", "b")}, r"no training row has the label 'b'"),
        ('text,labels\nx,"[1"\n', {}, r"line 2: the column 'labels' holds no valid JSON list"),
        (f'text,labels\nx,"{"[" * 100_000}"\n', {}, r"line 2: the column 'labels' holds no valid JSON list"),
        ("text,labels,split\nx,a,train\ny,b,dev\n", {}, r"line 3: the label 'b' is not among those of training"),
    ],
)
def test_bad_tables_are_answered_in_one_line(tmp_path: Path, text: str, options: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, text, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": ""}, "separator must be at least one character"),
        ({"label_columns": ("a", "a")}, "there is a duplicate"),
        ({"label_columns": ("a",), "label_column": "b"}, "mean the same; leave one of them out"),
    ],
)
def test_invalid_options_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Options(path="x", **options)
