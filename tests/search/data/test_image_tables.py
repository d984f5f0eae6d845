from __future__ import annotations

from pathlib import Path

import pytest

from search.data.image_tables import ImageTableOptions, read_images
from search.data.sample import Split
from search.errors import DataError

TABLE = "path,split,note\n{}\nred/01.png,val,b\nred/02.png,,c,surplus\n"


def written(folder: Path, first: str = "red/00.png,,a") -> str:
    path = folder / "table.csv"
    path.write_text(TABLE.format(first))
    return str(path)


def test_each_row_is_an_image_with_its_label_and_split(folder: Path) -> None:
    options = ImageTableOptions(written(folder), on_error="skip")
    table, listed, problems = read_images(options, Path("/"), ("note",), lambda row: row.values["note"])
    assert table == folder / "table.csv"
    assert [(item.input.name, item.label, item.split) for item in listed] == [  # type: ignore[attr-defined]
        (str(folder / "red/00.png"), "a", None),
        (str(folder / "red/01.png"), "b", Split.VAL),
    ]
    assert len(problems) == 1
    assert "line 4: 4 fields where the header has 3" in problems[0]


def test_paths_start_at_the_root_that_is_named(folder: Path, tmp_path: Path) -> None:
    options = ImageTableOptions(written(folder, "00.png,,a"), root=str(folder / "red"), on_error="skip")
    _, listed, problems = read_images(options, tmp_path, (), lambda row: None)
    assert [item.input.name for item in listed] == [str(folder / "red/00.png")]  # type: ignore[attr-defined]
    assert "no file" in problems[0]


def test_a_row_that_cannot_be_used_is_refused_by_default(folder: Path) -> None:
    with pytest.raises(DataError, match="line 4: 4 fields where the header has 3"):
        read_images(ImageTableOptions(written(folder)), Path("/"), (), lambda row: None)
