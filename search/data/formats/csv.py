"""A table of image paths and labels, with or without splits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from search.data.assembly import Cut, Listed, OnError, assemble
from search.data.formats._base import Format
from search.data.sample import Dataset
from search.data.tabular import Row, read_rows, usable


@dataclass(frozen=True, slots=True)
class Options:
    """A CSV file with a header line; ``.tsv`` is read with tabs.

    Attributes:
        path: of the table. ``root`` is where image paths start; the table's own folder by default.
        path_column: names of the columns; ``split_column`` may be missing from the file.
        val_share: cut from the training rows when no row says ``val``; ``test_share`` likewise.
    """

    path: str
    root: str | None = None
    path_column: str = "path"
    label_column: str = "label"
    split_column: str = "split"
    val_share: float = 0.2
    test_share: float = 0.0
    seed: int = 0
    on_error: OnError = "refuse"
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        Cut(self.val_share, self.test_share, self.seed)


class Csv(Format):
    """One row an image."""

    name, options, suffixes = "csv", Options, (".csv", ".tsv")

    def read(self, options: Options, base: Path) -> Dataset:
        table = base / Path(options.path).expanduser()
        root = base / Path(options.root).expanduser() if options.root else table.parent
        cut = Cut(options.val_share, options.test_share, options.seed)
        _, rows = read_rows(table, (options.path_column, options.label_column))
        listed, problems = usable(rows, partial(_listed, root, options), options.on_error)
        dataset = assemble(table.stem, listed, cut, options.on_error)
        return replace(dataset, skipped=(*problems, *dataset.skipped))


def _listed(root: Path, options: Options, row: Row) -> Listed:
    for column in (options.path_column, options.label_column):
        row.text(column, "a path and a label")
    image = row.image(options.path_column, root)
    return Listed(image, row.values[options.label_column], row.split(options.split_column))


format = Csv()  # noqa: A001  # the room's word for its plug-in
