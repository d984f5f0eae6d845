from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search.data.formats.csv_labels import Options, format  # noqa: A004
from search.data.sample import Split
from search.errors import DataError


def table(folder: Path, lines: list[str], header: str = "path,labels,split") -> str:
    (folder / "t.csv").write_text("\n".join([header, *lines]) + "\n")
    return str(folder / "t.csv")


ROWS = ["red/00.png,warm; round,train", "green/00.png,,train", "blue/00.png,cold,train", "blue/01.png,cold;round,val"]
SHOWN = {
    "colours/red/00.png": (1, 2),
    "colours/green/00.png": (),
    "colours/blue/00.png": (0,),
    "colours/blue/01.png": (0, 1),
}


def test_a_cell_holds_any_number_of_labels(folder: Path, by_file: Any) -> None:
    found = format.read(Options(table(folder, ROWS)), Path.cwd())
    assert found.classes == ("cold", "round", "warm")
    assert {name: sample.target for name, sample in by_file(found).items()} == SHOWN
    assert [sample.target for sample in found.of(Split.VAL)] == [(0, 1)]


def test_a_column_a_label_says_the_same(folder: Path, by_file: Any) -> None:
    rows = ["red/00.png,0,yes,1", "green/00.png,0,no,0", "blue/00.png,1,,0", "blue/01.png,1,TRUE,0"]
    path = table(folder, rows, "path,cold,round,warm")
    options = Options(path, label_columns=("cold", "round", "warm"), val_share=0.25)
    found = format.read(options, Path.cwd())
    assert {name: sample.target for name, sample in by_file(found).items()} == SHOWN
    assert len(found.of(Split.VAL)) == 1


def test_without_parts_they_are_cut_by_label(folder: Path) -> None:
    rows = [
        f"{kind}/{number:02d}.png,{kind}{';odd' * (number % 2)}," for kind in ("red", "blue") for number in range(12)
    ]
    found = format.read(Options(table(folder, rows), val_share=0.25), Path.cwd())
    for place in range(3):
        assert sum(place in sample.target for sample in found.of(Split.VAL)) == 3


def test_other_labels_are_another_data_set(folder: Path) -> None:
    first = format.read(Options(table(folder, ROWS)), Path.cwd())
    changed = format.read(Options(table(folder, [ROWS[0].replace("warm", "cold"), *ROWS[1:]])), Path.cwd())
    assert first.fingerprint != changed.fingerprint
    assert first.fingerprint == format.read(Options(table(folder, ROWS)), Path.cwd()).fingerprint


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "no row below the header"),
        (["red/00.png,,train"], "no row has a label in the column 'labels'"),
        (["none.png,a,train"], r"line 2: no file .*none\.png"),
        (["red/00.png,a,train"], "1 sample cannot be cut into 2 parts"),
        (["red/00.png,a,val"], "t: no training samples"),
        (["red/00.png,a,train", "red/01.png,a;b,val"], "no training image has the label 'b'"),
        (["red/00.png,a,later"], "line 2: unknown split 'later'"),
    ],
)
def test_a_bad_table_is_refused_in_one_line(folder: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        format.read(Options(table(folder, lines)), Path.cwd())
    assert "\n" not in str(raised.value)


def test_a_cell_that_is_neither_yes_nor_no_is_named(folder: Path) -> None:
    path = table(folder, ["red/00.png,maybe"], "path,cold")
    with pytest.raises(DataError, match=r"line 2: the column 'cold' must say 1 or 0, yes or no, got 'maybe'"):
        format.read(Options(path, label_columns=("cold",)), Path.cwd())


def test_a_broken_image_is_named_or_skipped(folder: Path) -> None:
    (folder / "red" / "00.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"cannot read the image .*00\.png"):
        format.read(Options(table(folder, ROWS[1:] + ROWS[:1])), Path.cwd())
    rows = [*ROWS, "red/01.png,warm;round,train"]
    found = format.read(Options(table(folder, rows), on_error="skip"), Path.cwd())
    assert len(found.samples) == 4
    assert "00.png" in found.skipped[0]


def test_invalid_options_are_refused() -> None:
    with pytest.raises(ValueError, match="separator must be"):
        Options("t.csv", separator="")
    with pytest.raises(ValueError, match="there is a duplicate"):
        Options("t.csv", label_columns=("a", "a"))


def test_rows_that_cannot_be_used_are_left_out_and_listed_where_the_user_says_so(folder: Path) -> None:
    path = table(folder, [*ROWS, "none.png,warm,train", "red/01.png,warm,later"])
    with pytest.raises(DataError, match=r"line 6: no file .*none\.png.*; fix it, or set `on_error: skip`"):
        format.read(Options(path), Path.cwd())
    found = format.read(Options(path, on_error="skip"), Path.cwd())
    assert len(found.samples) == 4
    assert "line 6: no file" in found.skipped[0]
    assert "unknown split 'later'" in found.skipped[1]
