"""Tables of texts and the numbers to predict from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from search.data import text_tables, texts
from search.data.formats._base import Format
from search.data.sample import Dataset
from search.data.tabular import Row, check_targets
from search.data.text_tables import Table, TableOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(TableOptions):
    """A table with a header line, or a folder with one for each split.

    Attributes:
        target_columns: hold the numbers.
    """

    target_columns: tuple[str, ...] = ("score",)

    def __post_init__(self) -> None:
        TableOptions.__post_init__(self)
        check_targets(self.target_columns)


class TextNumbers(Format):
    """CSV, TSV or JSON lines: a text, perhaps a second one, and a number in each of the target columns."""

    name, options, suffixes = "text_numbers", Options, text_tables.SUFFIXES

    def read(self, options: Options, base: Path) -> Dataset:
        name, tables = text_tables.tables_of(options.path, base)
        listed, problems = text_tables.read_texts(tables, options, partial(_numbers, options.target_columns))
        return texts.collect(
            name,
            listed,
            problems,
            options,
            names=options.target_columns,
            encode=lambda numbers: numbers,
            written=lambda target: " ".join(map(repr, target)),
            divide=options.by_number(),
        )


def _numbers(columns: Sequence[str], table: Table) -> Callable[[Row], tuple[float, ...]]:
    for name in columns:
        text_tables.column(table, name, (), "numbers", "target_columns")
    return lambda row: tuple(row.number(name) for name in columns)


format = TextNumbers()  # noqa: A001  # the room's word for its plug-in
