"""A table of image paths and any number of labels each."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path

from search.data.assembly import gather
from search.data.formats._base import Format
from search.data.image_tables import ImageTableOptions, read_images
from search.data.sample import Dataset, Split
from search.data.tabular import Row, check_labels
from search.errors import DataError


@dataclass(frozen=True, slots=True)
class Options(ImageTableOptions):
    """A CSV file with a header line; ``.tsv`` is read with tabs.

    Attributes:
        path: of the table, or of a folder with one for each split: ``train.csv``, ``val.csv``, or ``train/NAME.csv``.
        root: where image paths start; the table's own folder by default. Paths may lack the images' extensions.
        label_column: holds a row's labels, divided by ``separator``; an empty one means none.
        label_columns: instead, one column per class that says 1 or 0, yes or no.
        split_column: may be missing from the file.
        val_share: taken from the training rows if no row says ``val``; ``test_share`` likewise.
    """

    _: KW_ONLY
    label_column: str = "labels"
    separator: str = ";"
    label_columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ImageTableOptions.__post_init__(self)
        check_labels(self.separator, self.label_columns)


class CsvLabels(Format):
    """One row per image, with the names of all that it shows."""

    name, options, suffixes = "csv_labels", Options, (".csv", ".tsv")

    def read(self, options: Options, base: Path) -> Dataset:
        columns = options.label_columns or (options.label_column,)
        table, listed, problems = read_images(options, base, columns, lambda row: _labels(row, options))
        names = options.label_columns or tuple(sorted({name for item in listed for name in item.label}))
        if listed and not names:
            raise DataError(f"{table}: no row has a label in the column {options.label_column!r}")
        index = {name: number for number, name in enumerate(names)}
        dataset = gather(
            table.stem,
            listed,
            options,
            names=names,
            encode=lambda labels: tuple(sorted(index[name] for name in labels)),
            written=lambda target: "+".join(names[number] for number in target),
            divide=options.by_classes(len(names)),
        )
        _check(dataset)
        return replace(dataset, skipped=(*problems, *dataset.skipped))


def _labels(row: Row, options: Options) -> tuple[str, ...]:
    if options.label_columns:
        return row.marked(options.label_columns)
    given = [name.strip() for name in row.values[options.label_column].split(options.separator)]
    return tuple(dict.fromkeys(name for name in given if name))


def _check(dataset: Dataset) -> None:
    for index, name in enumerate(dataset.classes):
        if not any(index in sample.target for sample in dataset.of(Split.TRAIN)):
            raise DataError(
                f"{dataset.name}: no training image has the label {name!r}; every label needs some in train"
            )


format = CsvLabels()  # noqa: A001  # the room's word for its plug-in
