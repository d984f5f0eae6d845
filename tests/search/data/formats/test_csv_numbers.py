from __future__ import annotations

from pathlib import Path

import pytest

from search.data.formats.csv_numbers import Options, format  # noqa: A004
from search.data.sample import Split
from search.errors import DataError


def table(folder: Path, lines: list[str], header: str = "path,target") -> str:
    (folder / "t.csv").write_text("\n".join([header, *lines]) + "\n")
    return str(folder / "t.csv")


def test_every_row_has_a_number_in_each_target_column(folder: Path) -> None:
    rows = ["red/00.png,1.5,-2,train", "red/01.png,3,1e2,val", "red/02.png,0,0,test"]
    path = table(folder, rows, "path,age,weight,split")
    found = format.read(Options(path, target_columns=("age", "weight")), Path.cwd())
    assert found.classes == ("age", "weight")
    assert [found.of(split)[0].target for split in Split] == [(1.5, -2.0), (3.0, 100.0), (0.0, 0.0)]
    assert len(found.samples) == 3


def test_without_parts_they_are_cut_by_size(folder: Path) -> None:
    rows = [f"red/{number:02d}.png,{number}" for number in range(12)]
    found = format.read(Options(table(folder, rows), val_share=0.25), Path.cwd())
    values = sorted(sample.target[0] for sample in found.of(Split.VAL))
    assert len(values) == 3
    assert values[0] < 4 <= values[1] < 8 <= values[2]


def test_other_numbers_are_another_data_set(folder: Path) -> None:
    rows = [f"red/{number:02d}.png,{number}" for number in range(12)]
    first = format.read(Options(table(folder, rows)), Path.cwd())
    rows[5] += ".5"
    assert format.read(Options(table(folder, rows)), Path.cwd()).fingerprint != first.fingerprint


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "no row below the header"),
        (["red/00.png,"], "line 2: the column 'target' is empty; every row needs a number"),
        (["red/00.png,old"], "line 2: the column 'target' must hold a finite number, got 'old'"),
        (["red/00.png,nan"], "must hold a finite number, got 'nan'"),
        (["red/00.png,1e999"], "must hold a finite number, got '1e999'"),
        (["red/00.png,1"], "1 sample cannot be cut into 2 parts"),
    ],
)
def test_a_bad_table_is_refused_in_one_line(folder: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        format.read(Options(table(folder, lines)), Path.cwd())
    assert "\n" not in str(raised.value)


def test_a_missing_column_is_named(folder: Path) -> None:
    with pytest.raises(DataError, match="no column 'age'; the header has path, target"):
        format.read(Options(table(folder, ["red/00.png,1"]), target_columns=("age",)), Path.cwd())
    with pytest.raises(ValueError, match="target_columns must name each column once"):
        Options("t.csv", target_columns=())


def test_rows_that_cannot_be_used_are_left_out_and_listed_where_the_user_says_so(folder: Path) -> None:
    path = table(folder, [*(f"red/{number:02d}.png,{number}" for number in range(12)), "none.png,1", "green/00.png,x"])
    with pytest.raises(DataError, match=r"line 14: no file .*none\.png.*; fix it, or set `on_error: skip`"):
        format.read(Options(path), Path.cwd())
    found = format.read(Options(path, on_error="skip"), Path.cwd())
    assert len(found.samples) == 12
    assert "line 14: no file" in found.skipped[0]
    assert "must hold a finite number, got 'x'" in found.skipped[1]
