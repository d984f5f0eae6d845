"""CSV for programs and for spreadsheets, which take a cell that begins like a formula for one and run it."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # spreadsheets read the wide ones too
_NO_ROWS = ("number", "state", "value")


def harmless(value: object) -> object:
    """Return a cell that no spreadsheet runs: an apostrophe in front of a text that begins like a formula.

    Numbers stay as they are, ``-0.5`` too (https://owasp.org/www-community/attacks/CSV_Injection).
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
    """Write ``rows`` by column, as RFC 4180 has them; the first one's keys are the columns."""
    columns = tuple(rows[0]) if rows else _NO_ROWS
    write_rows(file, columns, ([row.get(column, "") for column in columns] for row in rows), ends="\r\n")
