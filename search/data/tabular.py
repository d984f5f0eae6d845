"""Tables of samples: a header line, one sample a row, a column with its part of the data where there is one."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from search.data.images import FileImage
from search.data.sample import Split
from search.errors import DataError

SPLITS = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "val": Split.VAL,
    "valid": Split.VAL,
    "validation": Split.VAL,
    "dev": Split.VAL,
    "test": Split.TEST,
}
"""Words by which people call the parts of their data."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row; ``place`` is how an error calls it: ``labels.csv, line 3``."""

    place: str
    values: dict[str, str]

    def split(self, column: str) -> Split | None:
        """Return the part of the data that ``column`` names; None where it is empty or missing.

        Raises:
            DataError: another word.
        """
        word = self.values.get(column, "").lower()
        if word and word not in SPLITS:
            raise DataError(f"{self.place}: unknown split {word!r}; expected train, val or test")
        return SPLITS[word] if word else None

    def text(self, column: str, what: str) -> str:
        """Return what stands in ``column``; ``what`` says what every row needs.

        Raises:
            DataError: nothing does.
        """
        if not self.values[column]:
            raise DataError(f"{self.place}: the column {column!r} is empty; every row needs {what}")
        return self.values[column]

    def image(self, column: str, root: Path) -> FileImage:
        """Return the image file that ``column`` names, relative to ``root``.

        Raises:
            DataError: there is none.
        """
        path = root / self.text(column, "a path")
        if not path.is_file():
            raise DataError(f"{self.place}: no file {path}; paths start at {root} (set `data.root` to change that)")
        return FileImage(path)


def read_rows(table: Path, needed: Sequence[str]) -> tuple[tuple[str, ...], Iterator[Row]]:
    """Return the columns of ``table`` and its rows; ``.tsv`` is read with tabs, all else with commas.

    Raises:
        DataError: it cannot be read, is no UTF-8 text, or lacks a column that is ``needed``.
    """
    try:
        text = table.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(
            f"cannot read the table {table}: {error.strerror}; `data.path` is relative to the study file"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"the table {table} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    # Lines keep their ends: a quoted field may hold some of its own.
    reader = csv.DictReader(
        text.splitlines(keepends=True), delimiter="\t" if table.suffix.lower() == ".tsv" else ",", restval=""
    )
    columns = tuple(column.strip() for column in reader.fieldnames or ())
    reader.fieldnames = list(columns)
    for column in needed:
        if column not in columns:
            raise DataError(f"{table}: no column {column!r}; the header has {', '.join(columns) or 'nothing'}")
    return columns, _rows(table, reader)


def _rows(table: Path, reader: csv.DictReader[str]) -> Iterator[Row]:
    for values in reader:
        named = {key: (value or "").strip() for key, value in values.items() if isinstance(key, str)}
        yield Row(f"{table}, line {reader.line_num}", named)
