"""Texts to predict, from files: one per line, tables, or words in CoNLL form; no labels are needed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from search.data import conll_files, tabular, text_tables
from search.data.files import text_of
from search.data.texts import Text, Words
from search.errors import DataError
from search.model.folder import TextPreprocessing

_LINES = (".txt", ".text")
SUFFIXES = (*_LINES, *text_tables.SUFFIXES, *conll_files.SUFFIXES)
_WORD_NAMES = ("tokens", "words")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row without a text; ``reason`` names its place."""

    reason: str

    def __str__(self) -> str:
        return self.reason


Found = Text | Words | Unreadable


def texts_in(file: Path, preprocessing: TextPreprocessing, text_column: str = "", pair_column: str = "") -> list[Found]:
    """Return the texts of ``file`` in their order; ``text_column`` and ``pair_column`` name a table's, if given.

    ``.txt`` has one per line; ``.csv``, ``.tsv`` and ``.jsonl`` have the columns of the study's data, or the names that
    these are known by. For a model of words, lines are parted at blanks, and ``.conll``, ``.bio`` and ``.iob`` have a
    word per line and an empty line after a sentence; tags in it are not read.

    Raises:
        DataError: it cannot be read, lacks a column, holds no text, or is of an unknown kind.
    """
    suffix = file.suffix.lower()
    if not file.is_file():
        raise DataError(f"no file of texts at {file}; expected {', '.join(suffixes(preprocessing))}")
    if suffix not in suffixes(preprocessing):
        known = ", ".join(suffixes(preprocessing))
        raise DataError(f"{file} is no file of texts that is known; expected one that ends in {known}")
    if suffix in _LINES:
        texts = list(_lines(file, preprocessing))
    elif suffix in conll_files.SUFFIXES:
        texts = list(_sentences(file, preprocessing.word_column))
    else:
        texts = list(_rows(file, preprocessing, text_column, pair_column))
    if not texts:
        raise DataError(f"{file} holds no text")
    return texts


def suffixes(preprocessing: TextPreprocessing) -> tuple[str, ...]:
    """Return how files end that a model reads."""
    return SUFFIXES if preprocessing.words else (*_LINES, *text_tables.SUFFIXES)


def _content(file: Path) -> str:
    return text_of(file, "").replace("\r\n", "\n")


def _lines(file: Path, preprocessing: TextPreprocessing) -> Iterator[Found]:
    """Yield the texts of ``file``, one per line; empty lines are skipped. A tab separates the two texts of a pair."""
    for number, line in enumerate(_content(file).split("\n"), 1):  # splitlines() also parts at U+2028
        place, text = f"{file}, line {number}", line.strip()
        if not text:
            continue
        if preprocessing.words:
            yield Words(place, tuple(text.split()))
        elif preprocessing.pairs:
            first, _, second = (part.strip() for part in text.partition("\t"))
            reason = f"{place}: this model takes pairs of texts; part them by a tab, or give a table with two columns"
            yield Text(place, first, second) if first and second else Unreadable(reason)
        else:
            yield Text(place, text)


def _sentences(file: Path, column: int) -> Iterator[Found]:
    content = _content(file)
    separator = "\t" if "\t" in content else None
    lines = [*content.split("\n"), ""]
    widths = Counter(len(line.split(separator)) for line in lines if line.strip() and not line.startswith("# "))
    usual = widths.most_common(1)[0][0] if widths else 0
    words: list[str] = []
    start = 0
    for number, line in enumerate(lines, 1):
        fields = line.split(separator)
        if not line.strip() or fields[0] == conll_files.DOCUMENT:
            if words:
                yield Words(f"{file}, line {start}", tuple(words))
            words = []
            continue
        if line.startswith("# ") and len(fields) != usual:
            continue  # a comment, not a word and its tag
        start = start if words else number
        index = column if -len(fields) <= column < len(fields) else 0
        words.append(fields[index].strip() or "_")


def _rows(file: Path, preprocessing: TextPreprocessing, text_column: str, pair_column: str) -> Iterator[Found]:
    _content(file)  # says what is wrong with it, as it is no part of a study
    (table,) = text_tables.tables_of(str(file), Path())[1]
    known = (*_WORD_NAMES, *text_tables.TEXT_NAMES) if preprocessing.words else text_tables.TEXT_NAMES
    first = _column(table, text_column, (preprocessing.text_column, *known), "texts", "--text-column")
    second = ""
    if preprocessing.pairs:
        usual = (preprocessing.pair_column, text_tables.PAIRS.get(first.lower(), ""))
        second = _column(table, pair_column, usual, "second texts", "--pair-column")
    for row in table.rows:
        if isinstance(row, str):
            yield Unreadable(row)
            continue
        try:
            text = row.text(first, "a text")
            if preprocessing.words:
                yield Words(row.place, _words(text))
            else:
                yield Text(row.place, text, row.text(second, "a second text") if second else None)
        except DataError as error:
            yield Unreadable(str(error))


def _column(table: text_tables.Table, given: str, usual: Sequence[str], what: str, option: str) -> str:
    """Return the column of ``what``: the ``given`` one, else the first of the ``usual`` names that is there.

    Raises:
        DataError: there is none.
    """
    wanted = [given] if given else [name for name in usual if name]
    column = tabular.column_of(table.columns, wanted)
    if column is None:
        tried = f"no column {given!r}" if given else f"no column with {what} ({', '.join(wanted[:4])})"
        header = ", ".join(table.columns) or "nothing"
        raise DataError(f"{table.name}: {tried}; the header has {header}; name one of them with {option}")
    return column


def _words(text: str) -> tuple[str, ...]:
    """Return the words of a text, or of a JSON list of them."""
    if text.startswith("["):
        try:
            listed = json.loads(text)
        except (RecursionError, ValueError):
            listed = None
        if isinstance(listed, list) and listed and all(isinstance(word, str) for word in listed):
            return tuple(listed)
    return tuple(text.split())
