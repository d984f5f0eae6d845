"""A table of image paths and the numbers to predict from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from search.data import splits
from search.data.assembly import Cut, Listed, OnError, gather
from search.data.formats._base import Format
from search.data.sample import Dataset, Split
from search.data.tabular import Row, read_rows, usable


@dataclass(frozen=True, slots=True)
class Options:
    """A CSV file with a header line; ``.tsv`` is read with tabs.

    Attributes:
        path: of the table. ``root`` is where image paths start; the table's own folder by default.
        target_columns: hold the numbers.
        split_column: may be missing from the file.
        val_share: cut from the training rows when no row says ``val``, with the same distribution of the first
            target; ``test_share`` likewise.
    """

    path: str
    target_columns: tuple[str, ...] = ("target",)
    root: str | None = None
    path_column: str = "path"
    split_column: str = "split"
    val_share: float = 0.2
    test_share: float = 0.0
    seed: int = 0
    on_error: OnError = "refuse"
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        Cut(self.val_share, self.test_share, self.seed)
        if not self.target_columns or len(set(self.target_columns)) < len(self.target_columns):
            raise ValueError(f"target_columns must name each column once, got {list(self.target_columns)}")


class CsvNumbers(Format):
    """One row an image, with a number in each of the target columns."""

    name, options, suffixes = "csv_numbers", Options, (".csv", ".tsv")

    def read(self, options: Options, base: Path) -> Dataset:
        table = base / Path(options.path).expanduser()
        root = base / Path(options.root).expanduser() if options.root else table.parent
        _, rows = read_rows(table, (options.path_column, *options.target_columns))
        listed, problems = usable(rows, partial(_listed, root, options), options.on_error)
        dataset = gather(
            table.stem,
            listed,
            options.on_error,
            names=options.target_columns,
            encode=lambda numbers: numbers,
            written=lambda target: " ".join(map(repr, target)),
            divide=partial(_divide, Cut(options.val_share, options.test_share, options.seed)),
            test_share=options.test_share,
        )
        return replace(dataset, skipped=(*problems, *dataset.skipped))


def _listed(root: Path, options: Options, row: Row) -> Listed:
    numbers = tuple(row.number(column) for column in options.target_columns)
    return Listed(row.image(options.path_column, root), numbers, row.split(options.split_column))


def _divide(cut: Cut, targets: Sequence[tuple[float, ...]], test_share: float) -> tuple[Split, ...]:
    return splits.cut_numbers([target[0] for target in targets], cut.val_share, test_share, cut.seed)


format = CsvNumbers()  # noqa: A001  # the room's word for its plug-in
