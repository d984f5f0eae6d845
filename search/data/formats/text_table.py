"""Tables of texts, or of pairs of texts, with one label each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from search.data import text_tables
from search.data.formats._base import Format
from search.data.sample import Dataset
from search.data.text_tables import TableOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(TableOptions):
    """A table with a header line, or a folder with one for each split: ``train.tsv``, ``dev.tsv``, ``test.tsv``.

    Attributes:
        label_column: by default found by its name (``label``, ``class``, ``sentiment`` ...).
    """

    label_column: str | None = None


class TextTable(Format):
    """CSV, TSV or JSON lines: a text, perhaps a second one, and the name of its class."""

    name, options, suffixes = "text_table", Options, text_tables.SUFFIXES

    def read(self, options: Options, base: Path) -> Dataset:
        name, tables = text_tables.tables_of(options.path, base)
        listed, problems = text_tables.read_texts(tables, options, partial(text_tables.labels, options.label_column))
        return text_tables.classes_of(name, listed, problems, options)


format = TextTable()  # noqa: A001  # the room's word for its plug-in
