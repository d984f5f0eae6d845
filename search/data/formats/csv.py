"""A table of image paths and labels, with or without splits."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path

from search.data.assembly import assemble
from search.data.formats._base import Format
from search.data.image_tables import ImageTableOptions, read_images
from search.data.sample import Dataset


@dataclass(frozen=True, slots=True)
class Options(ImageTableOptions):
    """A CSV file with a header line; ``.tsv`` is read with tabs.

    Attributes:
        path: of the table, or of a folder with one for each split: ``train.csv``, ``val.csv``, or ``train/NAME.csv``.
        root: where image paths start; the table's own folder by default. Paths may lack the images' extensions.
        path_column: names of the columns; ``split_column`` may be missing from the file.
        val_share: taken from the training rows if no row says ``val``; ``test_share`` likewise.
    """

    _: KW_ONLY
    label_column: str = "label"


class Csv(Format):
    """One row per image."""

    name, options, suffixes = "csv", Options, (".csv", ".tsv")

    def read(self, options: Options, base: Path) -> Dataset:
        column = options.label_column
        table, listed, problems = read_images(options, base, (column,), lambda row: row.text(column, "a label"))
        dataset = assemble(table.stem, listed, options)
        return replace(dataset, skipped=(*problems, *dataset.skipped))


format = Csv()  # noqa: A001  # the room's word for its plug-in
