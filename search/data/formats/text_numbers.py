"""Tables of texts and the numbers to predict from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from search.data import splits, text_tables, texts
from search.data.assembly import Cut
from search.data.formats._base import Format
from search.data.sample import Dataset, Split
from search.data.tabular import Row
from search.data.text_tables import Table, TableOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(TableOptions):
    """A table with a header line, or a folder with one for each part.

    Attributes:
        target_columns: hold the numbers.
    """

    target_columns: tuple[str, ...] = ("score",)

    def __post_init__(self) -> None:
        texts.check(self)
        if not self.target_columns or len(set(self.target_columns)) < len(self.target_columns):
            raise ValueError(f"target_columns must name each column once, got {list(self.target_columns)}")


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
            divide=partial(_divide, Cut(options.val_share, options.test_share, options.seed)),
        )


def _numbers(columns: Sequence[str], table: Table) -> Callable[[Row], tuple[float, ...]]:
    for name in columns:
        text_tables.column(table, name, (), "numbers", "target_columns")
    return lambda row: tuple(row.number(name) for name in columns)


def _divide(cut: Cut, targets: Sequence[tuple[float, ...]], test_share: float) -> tuple[Split, ...]:
    return splits.cut_numbers([target[0] for target in targets], cut.val_share, test_share, cut.seed)


format = TextNumbers()  # noqa: A001  # the room's word for its plug-in
