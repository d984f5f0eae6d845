"""Task and format of tables and tagged texts, judged by their columns, values and names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from search.data import conll_files, split_names, tabular, text_tables
from search.data.class_folders import folders_in
from search.data.files import visible
from search.data.formats.csv_boxes import CORNERS
from search.data.images import EXTENSIONS, located
from search.data.sample import Split
from search.errors import DataError
from search.new_study.image_layouts import are_numbers, head
from search.new_study.recognised import Recognised
from search.records.study import Json

IMAGE_NAMES = ("path", "image", "image_path", "file", "file_name", "filename", "filepath", "img")
_CLASS_NAMES = ("class", "label", "name", "class_name")
_CORNERS = (
    CORNERS,
    *(("x1", "y1", "x2", "y2"), ("x_min", "y_min", "x_max", "y_max"), ("left", "top", "right", "bottom")),
)
"""Usual names of the sides of a box, in this order."""
JSON = (".jsonl", ".json", ".ndjson")
_LOOKED_AT = 200
"""Number of rows of a table that are examined."""
_TAGS = ("B-", "I-", "S-", "E-", "L-", "U-")
_CONLL = (*conll_files.SUFFIXES, ".txt", ".tsv")
_NUMBERED = frozenset({"id", "idx", "index", "row", "rownames", "rowid", "key", "no", "nr"})
"""Names of a column that numbers the rows."""
_PROSE = 3
"""Fewest words of a text, on average, if no column name shows that it holds texts."""
_MOST_TAGS, _MOST_FIELDS = 60, 8
_DEEPEST, _MOST_FOLDERS = 2, 60
_OF_TEXTS = (("text", "text_table"), ("text_multilabel", "text_labels"), ("text_regression", "text_numbers"))
_OF_IMAGES = (("classification", "csv"), ("multilabel", "csv_labels"), ("regression", "csv_numbers"))
"""Task and format of a table with one label per row, with several, and with numbers."""


def of_file(path: Path) -> list[Recognised]:
    """Return tasks and formats of a table or a file of tagged words."""
    suffix = path.suffix.lower()
    is_table = suffix in text_tables.SUFFIXES or (suffix not in conll_files.SUFFIXES and lines_of(path))
    recognised = _table(path) if is_table else []
    return recognised or (_tagged(path) if suffix in _CONLL else [])


def of_folder(folder: Path) -> list[Recognised]:
    """Return tasks and formats of the tables in ``folder``: one table for each split, or a single one."""
    for suffixes in (text_tables.SUFFIXES, _CONLL):
        try:
            train = next(iter(split_names.files_of(folder, suffixes).values()))
        except DataError:
            continue
        if recognised := of_file(train):
            return [replace(one, path=folder) for one in recognised]
    files = [file for file in visible(folder) if file.is_file()]
    recognised = [one for file in files for one in of_file(file)]
    return recognised if len({one.path for one in recognised}) == 1 else []


def tables_in(folder: Path) -> list[Path]:
    """Return the tables in ``folder``, those for training first."""
    files = [file for file in visible(folder) if file.suffix.lower() in text_tables.SUFFIXES and file.is_file()]
    return sorted(files, key=lambda file: split_names.split_of(file.stem) is not Split.TRAIN)


def lines_of(path: Path) -> list[list[str]]:
    """Return the fields of a table's first lines, of any extension; nothing if no separator splits them evenly."""
    if path.suffix.lower() in (*EXTENSIONS, ".xml", ".yaml", ".yml", ".md"):
        return []
    try:
        text = tabular.content_of(path)
    except DataError:
        return []
    return tabular.first_lines(text, tabular.separator_of(path, text)) if tabular.is_parted(path, text) else []


class _Column(NamedTuple):
    """A column, and whether the format finds it by its name."""

    name: str
    is_usual: bool


@dataclass(frozen=True, slots=True)
class _Table:
    path: Path
    columns: Sequence[str]
    rows: Sequence[Mapping[str, str]]

    def values(self, column: str) -> list[str]:
        return [row.get(column, "") for row in self.rows]

    def named(self, names: Sequence[str]) -> _Column | None:
        column = tabular.column_of(self.columns, names)
        return _Column(column, True) if column is not None else None

    def has_header(self) -> bool:
        """Return whether the first line is one; in JSON every object has its own."""
        lines = [list(self.columns), *(list(row.values()) for row in self.rows[: tabular.SAMPLED])]
        return self.path.suffix.lower() not in (".csv", ".tsv", ".txt", "") or not tabular.no_header(lines)

    def prose(self) -> _Column | None:
        """Return the column with the most words per value, if these are many and differ."""
        lengths = {name: sum(len(value.split()) for value in self.values(name)) for name in self.columns}
        best = max(lengths, key=lambda name: lengths[name], default=None)
        if best is None or lengths[best] < _PROSE * len(self.rows) or 2 * len(set(self.values(best))) < len(self.rows):
            return None
        return _Column(best, False)

    def files(self) -> _Column | None:
        """Return the column that holds names of images, by their extensions or because such files exist."""
        for name in self.columns:
            values = [value for value in self.values(name) if value]
            if values and all(value.lower().endswith(EXTENSIONS) for value in values):
                return _Column(name, False)
        for name in self.columns:
            if _root(self.path.parent, self.values(name)) is not None:
                return _Column(name, False)
        return None

    def split(self) -> str:
        """Return the column that says which part of the data a row is, by its name or its words; empty without one."""
        if split_names.USUAL_COLUMN in self.columns:
            return split_names.USUAL_COLUMN
        parts = {"", *split_names.SPLITS}
        said = {name: {value.lower() for value in self.values(name)} for name in self.columns}
        return next((name for name, words in said.items() if {""} != words <= parts and words), "")

    def label(self, others: Sequence[str]) -> _Column | None:
        """Return the column named like labels, else the only remaining one if its values recur."""
        left = [name for name in self.columns if name not in others]
        word = next((name for name in left if set(split_names.words_of(name)) & set(text_tables.LABEL_NAMES)), None)
        recurring = [name for name in left if 0 < len({*self.values(name)} - {""}) < len(self.rows)]
        name = word or (recurring[0] if len(recurring) == 1 else None)
        return None if name is None else _Column(name, False)


def _table(path: Path) -> list[Recognised]:
    """Return tasks and formats of a table: its columns tell images from texts, its labels the task."""
    try:
        table = _Table(path, *_rows(path))
    except DataError:
        return []
    subject, is_text = _subject(table) if table.columns else (None, False)
    # Tables of images are read from CSV only.
    if subject is None or (not is_text and path.suffix.lower() in JSON):
        return []
    split = table.split()
    options = {} if split in ("", split_names.USUAL_COLUMN) else {"split_column": split}
    return [replace(one, options=one.options | options) for one in _tasks_of(table, subject, split, is_text=is_text)]


def _tasks_of(table: _Table, subject: _Column, split: str, *, is_text: bool) -> list[Recognised]:
    """Return tasks and formats of a table of texts or images; ``split`` is its column of parts, empty without one."""
    corners = next((names for names in _CORNERS if set(names) <= set(table.columns)), None)
    if corners is not None and not is_text:
        return _boxes(table, subject, corners)
    others = (subject.name, split, *split_names.HELD_OUT, text_tables.PAIRS.get(subject.name, ""))
    left = [name for name in table.columns if name not in others]
    label = table.named(text_tables.LABEL_NAMES)
    several = [] if label else _switches(table, subject, left, is_text=is_text)
    if not several and label is None and not is_text:
        several = _numbers(table, subject.name, left)
    label = label or (table.label(others) if table.has_header() else None)
    return several or ([] if label is None else [_labelled(table, subject, label, is_text=is_text)])


def _subject(table: _Table) -> tuple[_Column | None, bool]:
    """Return the column with texts or images, by its name or by its values, and whether it holds texts."""
    if (text := table.named(text_tables.TEXT_NAMES)) is not None:
        return text, True
    image = table.named(IMAGE_NAMES)
    if image is None and table.rows and table.has_header():
        image = table.files()
        text = table.prose() if image is None else None
    return (text, True) if text is not None else (image, False)


def _labelled(table: _Table, subject: _Column, label: _Column, *, is_text: bool) -> Recognised:
    values = table.values(label.name)
    kind = 2 if _are_measures(_pointed(table, values)) else 1 if any(";" in value for value in values) else 0
    task, format_ = (_OF_TEXTS if is_text else _OF_IMAGES)[kind]
    options = _text_column(subject) if is_text else _places(table, subject.name)
    if kind == 2 and (not is_text or label.name != "score"):
        options["target_columns"] = [label.name]
    elif kind < 2 and (not label.is_usual if is_text else label.name != ("labels" if kind else "label")):
        options["label_column"] = label.name
    what = ("a label", "labels", "numbers")[kind]
    why = f"{table.path.name} with a column {subject.name!r} and {what} in {label.name!r}"
    return Recognised(task, format_, why, table.path, options)


def _numbers(table: _Table, image: str, columns: Sequence[str]) -> list[Recognised]:
    """Return the task of a table of images whose other columns, row numbers aside, hold numbers."""
    columns = [column for column in columns if not _counts_rows(column, table.values(column))]
    values = [value for column in columns for value in table.values(column)]
    if not values or not all(values) or not are_numbers(_pointed(table, values)):
        return []
    why = f"{table.path.name} with a column {image!r} and numbers in {_few(columns)}"
    options = _places(table, image) | {"target_columns": list(columns)}
    return [Recognised("regression", "csv_numbers", why, table.path, options)]


def _pointed(table: _Table, values: Sequence[str]) -> list[str]:
    """Return values with points for decimal commas, as tables with semicolons have them; the format reports them."""
    has_commas = table.path.suffix.lower() not in JSON and tabular.separator_of(table.path, head(table.path)) == ";"
    return [value.replace(",", ".") if has_commas else value for value in values]


def _switches(table: _Table, subject: _Column, columns: Sequence[str], *, is_text: bool) -> list[Recognised]:
    """Return the task of a table with one column of 1 and 0 per label, and nothing else but row numbers."""
    switches = [name for name in columns if set(table.values(name)) <= {"0", "1"}]
    numbered = [name for name in columns if len(set(table.values(name))) == len(table.rows)]
    if len(switches) < 2 or not table.rows or set(columns) - {*switches, *numbered}:
        return []
    why = f"{table.path.name} with a column {subject.name!r} and 1 or 0 in {_few(switches)}"
    options = _text_column(subject) if is_text else _places(table, subject.name)
    task, format_ = (_OF_TEXTS if is_text else _OF_IMAGES)[1]
    return [Recognised(task, format_, why, table.path, options | {"label_columns": list(switches)})]


def _few(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:4])) + (" ..." if len(names) > 4 else "")


def _text_column(text: _Column) -> dict[str, Json]:
    return {} if text.is_usual else {"text_column": text.name}


def _boxes(table: _Table, image: _Column, corners: Sequence[str]) -> list[Recognised]:
    label = table.named(_CLASS_NAMES)
    if label is None:
        return []
    options = _places(table, image.name, usual="filename")
    if label.name != "class":
        options["label_column"] = label.name
    if tuple(corners) != CORNERS:
        options["corner_columns"] = list(corners)
    why = f"{table.path.name} with boxes in {', '.join(corners)}"
    return [Recognised("detection", "csv_boxes", why, table.path, options)]


def _places(table: _Table, image: str, usual: str = "path") -> dict[str, Json]:
    """Return the options that locate the images of a table."""
    options: dict[str, Json] = {} if image == usual else {"path_column": image}
    root = _root(table.path.parent, table.values(image))
    return options if root in (None, table.path.parent) else options | {"root": str(root.absolute())}


def _root(folder: Path, names: Sequence[str], deepest: int = _DEEPEST) -> Path | None:
    """Return ``folder``, or the first folder below it, that holds one of the first files with these names."""
    given = [name for name in names if name][:3]
    if any(tabular.image_file(located(folder, name)) is not None for name in given):
        return folder
    inside = folders_in(folder)[:_MOST_FOLDERS] if deepest and given else []
    return next((root for inner in inside if (root := _root(inner, given, deepest - 1)) is not None), None)


def _tagged(path: Path) -> list[Recognised]:
    """Return whether most lines of a file have a word and a tag, with empty lines between sentences."""
    lines = [line for line in head(path).split("\n") if line.strip() and not line.startswith(conll_files.DOCUMENT)]
    fields = [line.split("\t" if "\t" in line else None) for line in lines[:_LOOKED_AT] if not line.startswith("# ")]
    suffix = path.suffix.lower()
    is_universal = suffix == ".conllu" and any(len(words) == 10 for words in fields)
    options: dict[str, Json] = {"word_column": 1, "tag_column": 3} if is_universal else {}
    if not is_universal and not _are_tags(fields, -1) and _are_tags(fields, 0):
        options = {"word_column": -1, "tag_column": 0}
    column = int(options.get("tag_column", -1))
    tags = [words[column] for words in fields if len(words) > max(column, 1)]
    is_named = suffix in conll_files.SUFFIXES and 2 * len(tags) > len(fields)
    is_usable = is_named and 1 < len(set(tags)) <= min(_MOST_TAGS, len(tags) // 2)
    # The format names the first line without a tag.
    is_untagged = suffix in conll_files.SUFFIXES and bool(fields) and not tags
    if not (_are_tags(fields, column) or is_usable or is_untagged):
        return []
    return [Recognised("tokens", "conll", f"words with tags in {path.name}", path, options)]


def _are_tags(fields: Sequence[Sequence[str]], column: int) -> bool:
    """Return whether most words in a column are tags, not all of them the one outside of entities."""
    words = [row[column] for row in fields if len(row) > max(column, 1)]
    marked = [word for word in words if word == conll_files.OUTSIDE or word.startswith(_TAGS)]
    return 2 * len(marked) > len(fields) and any(word.startswith(_TAGS) for word in marked)


def _rows(path: Path) -> tuple[Sequence[str], list[dict[str, str]]]:
    """Return the columns of a table and its first rows."""
    if path.suffix.lower() not in JSON:
        columns, rows = tabular.read_rows(path, ())
        return columns, [{name: row.values[name] for name in columns} for row in islice(rows, _LOOKED_AT)]
    entries = list(_objects(path))
    return list(dict.fromkeys(chain.from_iterable(entries))), entries


def _objects(path: Path) -> Iterator[dict[str, str]]:
    """Yield the first objects of a JSON list, or of a file with one per line; lists of labels joined by semicolons.

    Lines that are not JSON are skipped: the format reports them.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        # Not splitlines(), which also parts a text at characters such as U+2028.
        entries = json.loads(text) if text.lstrip().startswith("[") else map(_entry, text.split("\n"))
        for entry in islice(entries, _LOOKED_AT):
            if isinstance(entry, dict):
                yield {
                    str(key): ";".join(map(str, value)) + ";" if isinstance(value, list) else str(value)
                    for key, value in entry.items()
                }
    except (OSError, ValueError, RecursionError):
        return  # not JSON, or not even text: nothing is known about it


def has_rows(path: Path) -> bool:
    """Return whether a file is a JSON list of objects, or has one per line, and more than one."""
    objects = list(islice(_objects(path), 2))
    return len(objects) > 1 or (bool(objects) and head(path).lstrip().startswith("["))


def keys_of(path: Path) -> list[str]:
    """Return the keys of the first object in a JSON file; none if there is no object."""
    return list(next(_objects(path), ()))


def other_form(path: Path) -> str:
    """Return advice on a text file whose lines are those of a table in a form that is not read."""
    lines = [line for line in head(path).split("\n") if line.strip()][: tabular.SAMPLED]
    if path.suffix.lower() in (*EXTENSIONS, *JSON, ".xml", ".yaml", ".yml", ".md") or len(lines) < 2:
        return ""
    if all(line.startswith("__label__") for line in lines):
        return f"; {path.name} is in fastText's form: put its texts into a table with the columns text and label"
    if len({line.count(tabular.COLONS) for line in lines}) == 1 and tabular.COLONS in lines[0]:
        count = lines[0].count(tabular.COLONS) + 1
        return (
            f"; the {count} columns of {path.name} are separated by {tabular.COLONS}: put commas there, quotes around "
            f"what holds some, and a header of {count} names in front, if there is none"
        )
    fields = [line.split() for line in lines]
    is_parted = len({len(words) for words in fields}) == 1 and 1 < len(fields[0]) <= _MOST_FIELDS
    if is_parted and all(any(word.lower().endswith(EXTENSIONS) for word in words) for words in fields[1:]):
        header = "" if any(word.lower().endswith(EXTENSIONS) for word in fields[0]) else "; its first line names them"
        columns = ",".join("path" if word.lower().endswith(EXTENSIONS) else "label" for word in fields[-1])
        wanted = header or f", and a header in front, such as `{columns}`"
        return f"; the columns of {path.name} are separated by blanks: put commas there{wanted}"
    return ""


def _entry(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _counts_rows(name: str, values: Sequence[str]) -> bool:
    """Return whether a column numbers the rows: integers, each one more than the last or, in an ``id``, all distinct.

    An index written by pandas or R is nothing to learn.
    """
    if len(values) < 2 or not all(value.isdecimal() for value in values):
        return False
    numbers = [int(value) for value in values]
    if numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        return True
    return not _NUMBERED.isdisjoint(split_names.words_of(name)) and len(set(numbers)) == len(numbers)


def _are_measures(values: Sequence[str]) -> bool:
    """Return whether values are numbers, some of them fractions: integers are taken for class names."""
    given = [value for value in values if value]
    return bool(given) and are_numbers(given) and any(not float(value).is_integer() for value in given)
