"""Tables of texts: CSV, TSV and JSON lines, in one file or one for each split."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from search.data import texts
from search.data.assembly import Listed
from search.data.broken_samples import refuse
from search.data.given_paths import given_path
from search.data.sample import Dataset, Split
from search.data.split_names import USUAL_COLUMN, files_of
from search.data.tabular import (
    LONGEST,
    SAMPLED,
    Row,
    column_of,
    content_of,
    is_index,
    no_header,
    separated_otherwise,
    separator_of,
)
from search.data.texts import Text, TextOptions
from search.errors import DataError
from search.records.plain_text import shortened

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".ndjson")
TEXT_NAMES = ("text", "sentence", "sentence1", "premise", "question1", "question", "review", "content", "comment")
PAIRS = {"sentence1": "sentence2", "premise": "hypothesis", "question1": "question2", "text": "text_pair"}
"""The second text's column, by the name of the first one's."""
LABEL_NAMES = ("label", "labels", "class", "category", "sentiment", "target", "intent", "score")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOptions(TextOptions):
    """A table with a header line, or a folder with one for each split: ``train.tsv``, ``dev.tsv``, ``test.tsv``.

    ``.csv``, ``.tsv``, or ``.jsonl`` with one object per line.

    Attributes:
        text_column: by default found by its name (``text``, ``sentence``, ``review`` ...).
        pair_column: of a second text; found where the first is ``sentence1``, ``premise`` or ``question1``.
        split_column: may be missing from the file; each file of a folder is one split.
        val_share: taken from the training rows if there is no validation split; ``test_share`` likewise.
        limit: most samples to take from each split, drawn with ``seed``; all by default.
    """

    path: str
    text_column: str | None = None
    pair_column: str | None = None
    split_column: str = USUAL_COLUMN


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one table; ``split`` is None if a column holds each row's, or nothing does.

    A row that cannot be read is replaced by a line that says why.
    """

    name: str
    split: Split | None
    columns: tuple[str, ...]
    rows: Iterator[Row | str]


_HALVES = re.compile("[\ud800-\udfff]")
Reader = Callable[[Table], Callable[[Row], Any]]
"""Finds the columns it needs, then reads the label of every row; both steps raise DataError."""


def tables_of(given: str, base: Path) -> tuple[str, list[Table]]:
    """Return the name of the data at a path, and their tables.

    Raises:
        DataError: there are none, one cannot be read, or two files are the same split.
    """
    path = given_path(base, given)
    if path.is_dir():
        files = files_of(path, SUFFIXES)
        return path.name, [_table(file, split) for split, file in files.items()]
    return path.stem, [_table(path, None)]


def read_texts(tables: Sequence[Table], options: Any, reader: Reader) -> tuple[list[Listed], list[str]]:
    """Return the texts of all ``tables`` with the labels that ``reader`` reads, and a line for each unusable row.

    Raises:
        DataError: a column that is needed is missing.
    """
    listed: list[Listed] = []
    problems: list[str] = []
    for table in tables:
        try:
            first = column(table, options.text_column, TEXT_NAMES, "texts", "text_column")
            second = options.pair_column or PAIRS.get(first, "")
            if options.pair_column:
                column(table, second, (), "second texts", "pair_column")
            label = reader(table)
        except DataError as error:
            if table.split is not Split.TEST:
                raise
            problems.append(str(error))  # competitions publish test splits without labels
            continue
        for row in table.rows:
            if isinstance(row, str):
                problems.append(row)
                continue
            try:
                pair = row.text(second, "a second text") if second in table.columns else None
                text = Text(row.place, row.text(first, "a text"), pair)
                listed.append(Listed(text, label(row), table.split or row.split(options.split_column)))
            except DataError as error:
                problems.append(str(error))
    if not listed and not problems:
        raise DataError(f"{tables[0].name}: no row below the header; expected one per text")
    return listed, problems


def column(table: Table, given: str | None, known: Sequence[str], what: str, option: str) -> str:
    """Return the column that holds ``what``: the ``given`` one, else the first of the ``known`` names that exists.

    Raises:
        DataError: there is none.
    """
    header = ", ".join(table.columns) or "nothing"
    if given is not None:
        if given not in table.columns:
            raise DataError(f"{table.name}: no column {given!r}; the header has {header}")
        return given
    name = column_of(table.columns, known)
    if name is None:
        rows = [list(row.values.values()) for row in islice(table.rows, SAMPLED) if isinstance(row, Row)]
        hint = separated_otherwise(table.name, table.columns) or no_header([table.columns, *rows])
        raise DataError(
            f"{table.name}: no column with {what} found; the header has {header}{hint}; set `data.{option}`"
        )
    return name


def _table(file: Path, split: Split | None) -> Table:
    text = content_of(file)
    if file.suffix.lower() in (".jsonl", ".json", ".ndjson"):
        return _json_table(file, text, split)
    mark = separator_of(file, text)
    lines = _tabbed(text) if mark == "\t" else _separated(file, text, mark)
    header = tuple(name.strip() for name in next((fields for _, fields in lines if any(fields)), []))
    columns = tuple(name for name in header if not is_index(name))
    if len(set(columns)) < len(columns):
        first = [fields for _, fields in islice(lines, SAMPLED)]
        hint = no_header([header, *first]) or "; rename one of them"
        raise DataError(f"{file}: a column is in the header twice: {', '.join(columns)}{hint}")
    return Table(str(file), split, columns, _rows(file, header, lines))


Lines = Iterator[tuple[int, list[str]]]


def _rows(file: Path, columns: tuple[str, ...], lines: Lines) -> Iterator[Row | str]:
    for number, fields in lines:
        place = f"{file}, line {number}"
        if not any(field.strip() for field in fields):
            continue
        if len(fields) < len(columns) or any(fields[len(columns) :]):
            yield f"{place}: {len(fields)} fields where the header has {len(columns)}; quote a text that holds some"
        else:
            yield Row(place, {name: field.strip() for name, field in zip(columns, fields, strict=False)})


def _separated(file: Path, text: str, mark: str) -> Lines:
    csv.field_size_limit(LONGEST)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark)
    try:
        for fields in reader:
            yield reader.line_num, fields
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num}: {error}; expected comma-separated values") from error


def _tabbed(text: str) -> Lines:
    """Read tab-separated lines, quoted or not: most text data sets are unquoted, with quotation marks in their texts.

    Lines are taken as quoted if that reads without fault and joins no complete line with the next.
    """
    # Not splitlines(), which also splits a text at characters such as U+2028.
    plain = [line.split("\t") for line in text.replace("\r\n", "\n").rstrip("\n").split("\n")]
    csv.field_size_limit(LONGEST)
    try:
        quoted = list(csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True))
    except csv.Error:
        return iter(enumerate(plain, 1))
    width = len(plain[0]) if plain else 0
    complete = all(len(fields) == width for fields in plain if any(fields))
    whole = all(len(fields) == width for fields in quoted if any(fields))
    return iter(enumerate(quoted if whole and not (complete and len(quoted) < len(plain)) else plain, 1))


def _json_table(file: Path, text: str, split: Split | None) -> Table:
    if text.lstrip().startswith("["):
        try:
            entries: list[tuple[str, Any]] = [
                (f"{file}, entry {n}", entry) for n, entry in enumerate(json.loads(text), 1)
            ]
        except (ValueError, RecursionError) as error:
            raise DataError(f"{file} is not valid JSON: {error}") from error
    else:
        entries = [(f"{file}, line {n}", line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    rows = [_json_row(index, entry) for index, entry in entries]
    columns = dict.fromkeys(name for row in rows if isinstance(row, Row) for name in row.values)
    full = (Row(row.place, dict.fromkeys(columns, "") | row.values) if isinstance(row, Row) else row for row in rows)
    return Table(str(file), split, tuple(columns), full)


def _json_row(place: str, entry: Any) -> Row | str:
    if isinstance(entry, str):
        try:
            entry = json.loads(entry)
        except (ValueError, RecursionError) as error:
            return f"{place}: no valid JSON: {error}"
    if not isinstance(entry, dict):
        return f"{place}: expected a JSON object with a text and its label, got {shortened(repr(entry), 60)}"
    values = {str(name): plain_text(value) for name, value in entry.items()}
    if any(_HALVES.search(value) for value in values.values()):
        return f"{place}: holds an unpaired surrogate such as \\ud83d, which is not a character"
    return Row(place, values)


def plain_text(value: Any) -> str:
    """Return a value of a table as a CSV file would hold it; lists as JSON."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.strip() if isinstance(value, str) else json.dumps(value)


def labels(given: str | None, table: Table) -> Callable[[Row], str]:
    """Return the function that reads the label of a row of ``table``."""
    name = column(table, given, LABEL_NAMES, "labels", "label_column")
    return lambda row: row.text(name, "a label")


def classes_of(
    name: str,
    listed: Sequence[Listed],
    problems: Sequence[str],
    options: TextOptions,
    order: Sequence[str] | None = None,
) -> Dataset:
    """Return the data set of texts with one label each; ``order`` is the order of the classes, if the data define one.

    Raises:
        DataError: as in ``texts.collect``; fewer than two classes; a label that no training row has.
    """
    known = texts.ordered_names([item.label for item in listed if item.split in (None, Split.TRAIN)])
    if order:
        known = tuple(label for label in order if label in known)
    strange = [
        f"{texts.place_of(item)}: the label {item.label!r} is not among those of training: {', '.join(known[:12])}"
        for item in listed
        if item.label not in known
    ]
    problems = [*problems, *strange]
    refuse(problems, options.on_error)
    if len(known) < 2:
        classes = f"only the class {known[0]!r}" if known else "no class"
        raise DataError(f"{name}: {classes} found; classification needs at least two classes")
    index = {label: number for number, label in enumerate(known)}
    return texts.collect(
        name,
        [item for item in listed if item.label in index],
        problems,
        options,
        names=known,
        encode=lambda label: index[label],
        written=lambda target: known[target],
        divide=options.by_class(known),
    )
