"""Tables of samples: a header, one sample per row, and optionally a column with the split."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

from search.data.broken_samples import OnError, refuse
from search.data.files import text_of
from search.data.images import EXTENSIONS, FileImage, is_there, located
from search.data.sample import Split
from search.data.split_names import HELD_OUT, SPLITS, USUAL_COLUMN, files_of
from search.errors import DataError
from search.records.plain_text import LONGEST_PATH, curtailed

T = TypeVar("T")
SUFFIXES = (".csv", ".tsv")
LONGEST = 2**30
"""Most characters in a field of a table."""
_YES, _NO = ("1", "1.0", "true", "yes"), ("", "0", "0.0", "false", "no")
_LARGEST = 1e18  # its square, which losses average, is still a finite 32-bit number
_SEPARATORS = ("\t", ",", ";", "|")
SAMPLED = 20
"""Lines of a table from which its separator is determined."""
_LINE = 80
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_EXCEL = re.compile(r"\Asep=.(?=\r?\n)")
_UNNAMED = re.compile(r"Unnamed: [0-9]+(_level_[0-9]+)?(\.[0-9]+)*")
_INSTEAD = {"\t": " with tabs for commas", ";": " with semicolons for commas", "|": " with bars for commas"}
COLONS = "::"
"""What some tables have between their columns; ``csv`` takes no separator of two characters."""
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas", COLONS: "double colons"}


@dataclass(frozen=True, slots=True)
class Row:
    """One row; ``place`` names it in errors: ``labels.csv, line 3``.

    Attributes:
        values: by column.
        fault: why it cannot be used.
        folder: of its table; ``part`` the split that the whole table belongs to.
    """

    place: str
    values: dict[str, str]
    fault: str = ""
    folder: Path = Path()
    part: Split | None = None

    def split(self, column: str) -> Split | None:
        """Return the split that ``column`` names; None if it is empty or missing. ``is_valid`` stands in for ``split``.

        Raises:
            DataError: it holds another word.
        """
        if self.part is not None:
            return self.part
        is_missing = column == USUAL_COLUMN and column not in self.values
        if held_out := [name for name in HELD_OUT if name in self.values and (is_missing or name == column)]:
            said = self.marked(held_out)
            return HELD_OUT[said[0]] if said else Split.TRAIN
        word = self.values.get(column, "").lower()
        if word and word not in SPLITS:
            raise DataError(f"{self.place}: unknown split {word!r}; expected train, val or test")
        return SPLITS[word] if word else None

    def text(self, column: str, what: str) -> str:
        """Return the value in ``column``; ``what`` describes it in errors.

        Raises:
            DataError: the column is empty, or the row has a fault.
        """
        if self.fault:
            raise DataError(f"{self.place}: {self.fault}")
        if not self.values[column]:
            raise DataError(f"{self.place}: the column {column!r} is empty; every row needs {what}")
        return self.values[column]

    def number(self, column: str) -> float:
        """Return the number in ``column``.

        Raises:
            DataError: there is none, or it is not finite, or too large for networks to compute with.
        """
        text = self.text(column, f"a number in {column!r}")
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            hint = "; write a point for the comma" if re.fullmatch(r"[-+]?[0-9]+,[0-9]+", text) else ""
            raise DataError(f"{self.place}: the column {column!r} must hold a finite number, got {text!r}{hint}")
        if abs(number) > _LARGEST:
            raise DataError(
                f"{self.place}: the column {column!r} must hold numbers up to {_LARGEST:g}, got {text!r}; networks "
                "compute with 32 bits: give it in another unit"
            )
        return number

    def marked(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the ``columns`` in which the row says 1, yes or true.

        Raises:
            DataError: one of them says anything but yes or no.
        """
        shown = []
        for column in columns:
            word = self.values[column].lower()
            if word not in (*_YES, *_NO):
                raise DataError(f"{self.place}: the column {column!r} must say 1 or 0, yes or no, got {word!r}")
            if word in _YES:
                shown.append(column)
        return tuple(shown)

    def image(self, column: str, root: Path | None) -> FileImage:
        """Return the image file that ``column`` names, with or without its extension, relative to ``root``.

        None: relative to the table's folder.

        Raises:
            DataError: there is none.
        """
        start = root or self.folder
        text = self.text(column, "a path")
        path = located(start, text)
        file = image_file(path)
        if file is None:
            shown = curtailed(text if "://" in text else str(path), LONGEST_PATH)
            hint = f"paths start at {start} (set `data.root` to change that)"
            if "://" in text:
                hint = "download the images, and name the files"
            elif Path(text).is_absolute():
                hint = "a path may also start at the table's folder, or at `data.root`"
            raise DataError(f"{self.place}: no file {shown}; {hint}")
        return FileImage(file)


def image_file(path: Path) -> Path | None:
    """Return the image file at ``path``, or the one whose extension ``path`` lacks; None if there is neither."""
    if is_there(path):
        return path
    endings = [ending for lower in EXTENSIONS for ending in (lower, lower.upper())]
    return next((file for ending in endings if is_there(file := path.with_name(f"{path.name}{ending}"))), None)


def check_labels(separator: str, columns: Sequence[str]) -> None:
    """Check how a table's labels are given: divided by a ``separator``, or in ``columns`` of their own.

    Raises:
        ValueError: the separator is empty, or a column is named twice.
    """
    if not separator:
        raise ValueError("separator must be at least one character, got ''")
    if len(set(columns)) < len(columns):
        raise ValueError(f"label_columns: there is a duplicate in {list(columns)}")


def check_targets(columns: Sequence[str]) -> None:
    """Check which columns of a table hold the numbers to predict.

    Raises:
        ValueError: there are none, or one is named twice.
    """
    if not columns or len(set(columns)) < len(columns):
        raise ValueError(f"target_columns must name each column once, got {list(columns)}")


def usable(rows: Iterable[Row], read: Callable[[Row], T], on_error: OnError = "skip") -> tuple[list[T], list[str]]:
    """Return ``read`` of every usable row, and a line for every other row.

    Raises:
        DataError: no row can be used, or one cannot and faulty rows are not to be skipped.
    """
    items: list[T] = []
    problems: list[str] = []
    for row in rows:
        try:
            items.append(read(row))
        except DataError as error:
            problems.append(str(error))
    if problems and not items:
        raise DataError(f"{problems[0]}; no row of the table can be used ({len(problems)} in all)")
    refuse(problems, on_error)
    return items, problems


def lines_of(file: Path) -> list[str]:
    """Return the non-empty lines of a text file, stripped.

    Raises:
        DataError: it cannot be read, or is no UTF-8 text.
    """
    text = text_of(file, "expected a text file with one name per line")
    # Not splitlines(), which also splits a name at characters such as U+2028.
    return [line.strip() for line in text.split("\n") if line.strip()]


def column_of(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """Return the first of ``names`` that is a column, as the header spells it; case does not matter."""
    lower = {column.lower(): column for column in reversed(columns)}
    return next((lower[name.lower()] for name in names if name.lower() in lower), None)


def separator_of(table: str | Path, text: str = "") -> str:
    """Return the field separator of a table: the first of tab, comma, semicolon and bar that splits ``text`` evenly.

    Tabs come first, whatever the extension: texts between tabs may have equally many commas by chance. If none does,
    the extension decides.
    """
    own = "\t" if str(table).lower().endswith(".tsv") else ","
    return next((mark for mark in _SEPARATORS if _is_even(text, mark)), own)


def _is_even(text: str, mark: str) -> bool:
    """Return whether ``mark`` splits the header and the first rows into the same number of fields, at least two."""
    widths = [len(fields) for fields in first_lines(text, mark)]
    return bool(widths) and widths[0] > 1 and len(set(widths)) == 1


def is_parted(table: str | Path, text: str) -> bool:
    """Return whether a separator splits the first lines into the same number of fields, at least two."""
    return _is_even(text, separator_of(table, text))


def first_lines(text: str, mark: str) -> list[list[str]]:
    """Return the fields of the first lines that are not empty."""
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
        return list(islice((fields for fields in reader if any(fields)), SAMPLED))
    except csv.Error:
        return []


def no_header(lines: Sequence[Sequence[str]], mark: str = ",") -> str:
    """Return advice on a table whose first line looks like a sample rather than a header; else an empty string.

    It does if it holds a number, an image path, a long text, or a value that recurs below. ``mark`` is the separator.
    """
    if not lines or not any(_is_value(field, lines[1:], index) for index, field in enumerate(lines[0])):
        return ""
    kinds = Counter[str]()
    names = []
    for index in range(len(lines[0])):
        values = [fields[index] for fields in lines if index < len(fields)]
        kind = "path" if all(map(_is_path, values)) else "text" if any(" " in value for value in values) else "label"
        kinds[kind] += 1
        names.append(kind if kinds[kind] == 1 else f"{kind}{kinds[kind]}")
    shown = ",".join(lines[0])
    return (
        f"; there seems to be no header, as line 1 is {shown if len(shown) <= _LINE else shown[: _LINE - 1] + '…'!r}: "
        f"put one in front, such as `{','.join(names)}`{_INSTEAD.get(mark, '')}"
    )


def _is_value(field: str, below: Sequence[Sequence[str]], place: int) -> bool:
    again = any(place < len(fields) and fields[place] == field for fields in below)
    return bool(field) and (again or _is_path(field) or len(field) > _LINE or _NUMBER.fullmatch(field) is not None)


def _is_path(field: str) -> bool:
    return field.lower().endswith(EXTENSIONS)


def separated_otherwise(table: str | Path, columns: Sequence[str]) -> str:
    """Return advice on a one-column header that another separator would split, although not the rows below."""
    own = separator_of(table)
    marks = [mark for mark in _OTHER_SEPARATORS if mark != own and len(columns) == 1 and mark in columns[0]]
    if not marks:
        return ""
    return f"; columns seem to be separated by {_OTHER_SEPARATORS[marks[0]]}: save it with commas, or with tabs as .tsv"


def read_rows(table: Path, needed: Sequence[str]) -> tuple[tuple[str, ...], Iterator[Row]]:
    """Return the columns of ``table`` and its rows; the separator is found by ``separator_of``.

    Unnamed columns, such as an index written by pandas, are left out.

    Raises:
        DataError: it cannot be read, is no UTF-8 text, or lacks a column that is ``needed``.
    """
    text = content_of(table)
    csv.field_size_limit(LONGEST)
    mark = separator_of(table, text)
    # Only at line ends: str.splitlines() also splits a text at characters such as U+2028.
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=mark, restval="")
    header = [column.strip() for column in _header(table, reader)]
    columns = tuple(column for column in header if not is_index(column) or column in needed)
    reader.fieldnames = header
    for column in needed:
        if column not in columns:
            hint = separated_otherwise(table, columns) or no_header(first_lines(text, mark), mark)
            raise DataError(f"{table}: no column {column!r}; the header has {', '.join(columns) or 'nothing'}{hint}")
        if columns.count(column) > 1:
            raise DataError(f"{table}: the column {column!r} is in the header twice; rename one of them")
    return columns, _rows(table, reader)


def rows_of(path: Path, needed: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a table, or of a folder with one for each split: ``train.csv``, ``valid/_classes.csv``.

    A test split that lacks a column is one row with that fault: competitions publish test splits without labels.

    Raises:
        DataError: as in ``read_rows``; no table in the folder is for training.
    """
    if not path.is_dir():
        yield from read_rows(path, needed)[1]
        return
    for split, table in files_of(path, SUFFIXES).items():
        try:
            _, rows = read_rows(table, needed)
        except DataError as error:
            if split is not Split.TEST:
                raise
            rows = iter([Row(str(table), {}, str(error).removeprefix(f"{table}: "))])
        yield from (replace(row, part=split) for row in rows)


def content_of(table: Path) -> str:
    """Return the text of a table, without the ``sep=;`` that Excel puts first.

    Raises:
        DataError: it cannot be read, or is no UTF-8 text.
    """
    return _EXCEL.sub("", text_of(table))


def is_index(column: str) -> bool:
    """Return whether a column is unnamed, or named as pandas names unnamed columns: a row index, not data."""
    return not column or _UNNAMED.fullmatch(column) is not None


def _header(table: Path, reader: csv.DictReader[str]) -> Sequence[str]:
    try:
        return next((fields for fields in reader.reader if any(fields)), ())
    except csv.Error as error:
        raise DataError(f"{table}, line 1: {error}; expected a header with the names of the columns") from error


def _rows(table: Path, reader: csv.DictReader[str]) -> Iterator[Row]:
    columns = reader.fieldnames or ()
    try:
        for values in reader:
            place = f"{table}, line {reader.line_num}"
            extra: object = values.pop(None, None)  # fields beyond the header
            fault = ""
            if isinstance(extra, list) and any(extra):
                width = len(columns) + len(extra)
                fault = f"{width} fields where the header has {len(columns)}; quote a value that holds the separator"
            cells = {key: (value or "").strip() for key, value in values.items()}
            yield Row(place, cells, fault, table.parent)
    except csv.Error as error:
        raise DataError(f"{table}, line {reader.line_num}: {error}; expected a row of values") from error
