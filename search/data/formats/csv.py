"""A table of image paths and labels, with or without splits."""

from __future__ import annotations

import csv as reader
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from search.data.assembly import Cut, Listed, OnError, assemble
from search.data.formats._base import SPLITS, Format
from search.data.images import FileImage
from search.data.sample import Dataset
from search.errors import DataError


@dataclass(frozen=True, slots=True)
class Options:
    """A CSV file with a header line; ``.tsv`` is read with tabs.

    Attributes:
        path: of the table. ``root`` is where image paths start; the table's own folder by default.
        path_column: names of the columns; ``split_column`` may be missing from the file.
        val_share: cut from the training rows when no row says ``val``; ``test_share`` likewise.
    """

    path: str
    root: str | None = None
    path_column: str = "path"
    label_column: str = "label"
    split_column: str = "split"
    val_share: float = 0.2
    test_share: float = 0.0
    seed: int = 0
    on_error: OnError = "refuse"
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        Cut(self.val_share, self.test_share, self.seed)


class Csv(Format):
    """One row an image."""

    name, options = "csv", Options

    def read(self, options: Options, base: Path) -> Dataset:
        table = base / Path(options.path).expanduser()
        root = base / Path(options.root).expanduser() if options.root else table.parent
        cut = Cut(options.val_share, options.test_share, options.seed)
        return assemble(table.stem, list(_rows(table, root, options)), cut, options.on_error)


def _rows(table: Path, root: Path, options: Options) -> Iterator[Listed]:
    try:
        text = table.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(
            f"cannot read the table {table}: {error.strerror}; `data.path` is relative to the study file"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"the table {table} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    rows = reader.DictReader(text.splitlines(), delimiter="\t" if table.suffix.lower() == ".tsv" else ",")
    columns = [column.strip() for column in rows.fieldnames or ()]
    rows.fieldnames = columns
    for column in (options.path_column, options.label_column):
        if column not in columns:
            raise DataError(f"{table}: no column {column!r}; the header has {', '.join(columns) or 'nothing'}")
    for row in rows:
        yield _listed(row, f"{table}, line {rows.line_num}", root, options)


def _listed(row: dict[str, str | None], place: str, root: Path, options: Options) -> Listed:
    name, label = (row[options.path_column] or "").strip(), (row[options.label_column] or "").strip()
    if not name or not label:
        column = options.label_column if name else options.path_column
        raise DataError(f"{place}: the column {column!r} is empty; every row needs a path and a label")
    path = root / name
    if not path.is_file():
        raise DataError(f"{place}: no file {path}; paths start at {root} (set `data.root` to change that)")
    split = (row.get(options.split_column) or "").strip().lower()
    if split and split not in SPLITS:
        raise DataError(f"{place}: unknown split {split!r}; expected train, val or test")
    return Listed(FileImage(path), label, SPLITS[split] if split else None)


format = Csv()  # noqa: A001  # the room's word for its plug-in
