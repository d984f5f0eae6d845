"""A table of image paths and any number of labels each."""

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
from search.errors import DataError

_YES, _NO = ("1", "1.0", "true", "yes"), ("", "0", "0.0", "false", "no")


@dataclass(frozen=True, slots=True)
class Options:
    """A CSV file with a header line; ``.tsv`` is read with tabs.

    Attributes:
        path: of the table. ``root`` is where image paths start; the table's own folder by default.
        label_column: holds a row's labels, parted by ``separator``; an empty one means none.
        label_columns: instead, one column a class with 1 or 0, yes or no in it.
        split_column: may be missing from the file.
        val_share: cut from the training rows when no row says ``val``; ``test_share`` likewise.
    """

    path: str
    root: str | None = None
    path_column: str = "path"
    label_column: str = "labels"
    separator: str = ";"
    label_columns: tuple[str, ...] = ()
    split_column: str = "split"
    val_share: float = 0.2
    test_share: float = 0.0
    seed: int = 0
    on_error: OnError = "refuse"
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        Cut(self.val_share, self.test_share, self.seed)
        if not self.separator:
            raise ValueError("separator must be at least one character, got ''")
        if len(set(self.label_columns)) < len(self.label_columns):
            raise ValueError(f"label_columns: there is a duplicate in {list(self.label_columns)}")


class CsvLabels(Format):
    """One row an image, with the names of all that it shows."""

    name, options, suffixes = "csv_labels", Options, (".csv", ".tsv")

    def read(self, options: Options, base: Path) -> Dataset:
        table = base / Path(options.path).expanduser()
        root = base / Path(options.root).expanduser() if options.root else table.parent
        _, rows = read_rows(table, (options.path_column, *(options.label_columns or (options.label_column,))))
        listed, problems = usable(rows, partial(_listed, root, options), options.on_error)
        names = options.label_columns or tuple(sorted({name for item in listed for name in item.label}))
        if listed and not names:
            raise DataError(f"{table}: no row has a label in the column {options.label_column!r}")
        index = {name: place for place, name in enumerate(names)}
        cut = Cut(options.val_share, options.test_share, options.seed)
        dataset = gather(
            table.stem,
            listed,
            options.on_error,
            names=names,
            encode=lambda labels: tuple(sorted(index[name] for name in labels)),
            written=lambda target: "+".join(names[place] for place in target),
            divide=partial(_divide, len(names), cut),
            test_share=options.test_share,
        )
        _check(dataset)
        return replace(dataset, skipped=(*problems, *dataset.skipped))


def _listed(root: Path, options: Options, row: Row) -> Listed:
    return Listed(row.image(options.path_column, root), _labels(row, options), row.split(options.split_column))


def _labels(row: Row, options: Options) -> tuple[str, ...]:
    if not options.label_columns:
        given = [name.strip() for name in row.values[options.label_column].split(options.separator)]
        return tuple(dict.fromkeys(name for name in given if name))
    shown = []
    for column in options.label_columns:
        word = row.values[column].lower()
        if word not in (*_YES, *_NO):
            raise DataError(f"{row.place}: the column {column!r} must say 1 or 0, yes or no, got {word!r}")
        if word in _YES:
            shown.append(column)
    return tuple(shown)


def _divide(classes: int, cut: Cut, targets: Sequence[tuple[int, ...]], test_share: float) -> tuple[Split, ...]:
    return splits.cut_sets(targets, classes, cut.val_share, test_share, cut.seed)


def _check(dataset: Dataset) -> None:
    for index, name in enumerate(dataset.classes):
        if not any(index in sample.target for sample in dataset.of(Split.TRAIN)):
            raise DataError(
                f"{dataset.name}: no training image has the label {name!r}; every label needs some in train"
            )


format = CsvLabels()  # noqa: A001  # the room's word for its plug-in
