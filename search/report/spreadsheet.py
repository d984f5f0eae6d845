"""CSV for programs and for spreadsheets, which run any cell that begins like a formula."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # spreadsheets accept full-width ones too
_NO_ROWS = ("number", "state", "value")


def harmless(value: object) -> object:
    """Return a cell that no spreadsheet runs: texts that begin like a formula get a leading apostrophe.

    Numbers, ``-0.5`` among them, stay as they are (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    if not isinstance(value, str) or not value.lstrip(" ").startswith(_FORMULA):
        return value
    try:
        return value if math.isfinite(float(value)) else f"'{value}"
    except ValueError:
        return f"'{value}"


def write_rows(file: TextIO, columns: Sequence[str], rows: Iterable[Sequence[object]], ends: str = "\n") -> None:
    """Write a header and rows of cells to ``file``; every line ends in ``ends``."""
    writer = csv.writer(file, lineterminator=ends)
    for row in (columns, *rows):
        writer.writerow([harmless(cell) for cell in row])


def write_table(file: TextIO, rows: Sequence[Mapping[str, object]]) -> None:
    """Write ``rows`` by column, as in RFC 4180; the first row's keys are the columns."""
    columns = tuple(rows[0]) if rows else _NO_ROWS
    write_rows(file, columns, ([row.get(column, "") for column in columns] for row in rows), ends="\r\n")
