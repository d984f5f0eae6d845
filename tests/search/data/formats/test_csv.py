from __future__ import annotations

from pathlib import Path

import pytest

from search.data.formats.csv import Options
from search.data.formats.csv import format as csv
from search.data.sample import Dataset, Split
from search.errors import DataError


def table(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def read(path: Path, **options: object) -> Dataset:
    return csv.read(Options(str(path), **options), Path("/"))  # type: ignore[arg-type]


def rows(folder: Path, split: bool = False) -> str:
    lines = ["path,label,split,note" if split else "path,label"]
    for path in sorted(folder.rglob("*.png")):
        part = "val" if path.stem < "03" else "train"
        lines.append(f"{path.relative_to(folder)},{path.parent.name}{f',{part},x' if split else ''}")
    return "\n".join(lines)


def test_paths_start_at_the_tables_folder(folder: Path) -> None:
    assert len(read(table(folder, rows(folder))).samples) == 36


def test_splits_of_the_table_are_kept(folder: Path) -> None:
    dataset = read(table(folder, rows(folder, split=True)))
    assert (len(dataset.of(Split.TRAIN)), len(dataset.of(Split.VAL))) == (27, 9)


def test_a_table_with_tabs_and_other_column_names_is_read(folder: Path) -> None:
    text = rows(folder).replace("path,label", "file,class").replace(",", "\t")
    assert len(read(table(folder, text, "table.tsv"), path_column="file", label_column="class").samples) == 36


def test_a_missing_column_is_named_with_those_there_are(folder: Path) -> None:
    with pytest.raises(DataError, match="no column 'label'; the header has path, klass"):
        read(table(folder, "path,klass\na.png,x\n"))


def test_an_absent_file_is_named_with_its_line(folder: Path) -> None:
    with pytest.raises(DataError, match=r"line 3: no file .*absent\.png"):
        read(table(folder, "path,label\nred/00.png,red\nabsent.png,red\n"))


def test_an_unknown_split_is_named_with_its_line(folder: Path) -> None:
    with pytest.raises(DataError, match="line 2: unknown split 'trian'"):
        read(table(folder, "path,label,split\nred/00.png,red,trian\n"))


def test_an_empty_label_is_named_with_its_line(folder: Path) -> None:
    with pytest.raises(DataError, match="line 2: the column 'label' is empty"):
        read(table(folder, "path,label\nred/00.png,\n"))


def test_a_table_that_is_missing_empty_or_no_text_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*data\.path"):
        read(folder / "absent.csv")
    with pytest.raises(DataError, match="the header has nothing"):
        read(table(folder, ""))
    with pytest.raises(DataError, match="no row below the header"):
        read(table(folder, "path,label\n"))
    (folder / "binary.csv").write_bytes(b"path,label\n\xff\xfe")
    with pytest.raises(DataError, match="not UTF-8"):
        read(folder / "binary.csv")


def test_rows_that_cannot_be_used_are_left_out_and_listed_where_the_user_says_so(folder: Path) -> None:
    path = table(folder, rows(folder) + "\nabsent.png,red\nred/00.png,red, dark\nred/01.png,\n")
    with pytest.raises(DataError, match=r"absent\.png.*\(2 more faults\); fix it, or set `on_error: sk"):
        read(path)
    found = read(path, on_error="skip")
    assert len(found.samples) == 36
    assert [line.split(": ")[0].rsplit(" ", 1)[1] for line in found.skipped] == ["38", "39", "40"]
