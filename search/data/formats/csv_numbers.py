"""A table of image paths and the numbers to predict from them."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path

from search.data.assembly import gather
from search.data.formats._base import Format
from search.data.image_tables import ImageTableOptions, read_images
from search.data.sample import Dataset
from search.data.tabular import check_targets


@dataclass(frozen=True, slots=True)
class Options(ImageTableOptions):
    """A CSV file with a header line; ``.tsv`` is read with tabs.

    Attributes:
        path: of the table, or of a folder with one for each split: ``train.csv``, ``val.csv``, or ``train/NAME.csv``.
        root: where image paths start; the table's own folder by default. Paths may lack the images' extensions.
        target_columns: hold the numbers.
        split_column: may be missing from the file.
        val_share: taken from the training rows if no row says ``val``, with the same distribution of the first
            target; ``test_share`` likewise.
    """

    _: KW_ONLY
    target_columns: tuple[str, ...] = ("target",)

    def __post_init__(self) -> None:
        ImageTableOptions.__post_init__(self)
        check_targets(self.target_columns)


class CsvNumbers(Format):
    """One row per image, with a number in each of the target columns."""

    name, options, suffixes = "csv_numbers", Options, (".csv", ".tsv")

    def read(self, options: Options, base: Path) -> Dataset:
        columns = options.target_columns
        table, listed, problems = read_images(
            options, base, columns, lambda row: tuple(row.number(column) for column in columns)
        )
        dataset = gather(
            table.stem,
            listed,
            options,
            names=columns,
            encode=lambda numbers: numbers,
            written=lambda target: " ".join(map(repr, target)),
            divide=options.by_number(),
        )
        return replace(dataset, skipped=(*problems, *dataset.skipped))


format = CsvNumbers()  # noqa: A001  # the room's word for its plug-in
