"""Tables of image paths: the options and the reading that their formats share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from search.data.assembly import Listed
from search.data.given_paths import given_path
from search.data.split_names import USUAL_COLUMN
from search.data.split_options import SplitOptions
from search.data.tabular import Row, rows_of, usable
from search.errors import DataError


@dataclass(frozen=True, slots=True)
class ImageTableOptions(SplitOptions):
    """A CSV file with a header line; ``.tsv`` is read with tabs.

    Attributes:
        path: of the table, or of a folder with one for each split: ``train.csv``, ``val.csv``, or ``train/NAME.csv``.
        root: where image paths start; the table's own folder by default. Paths may lack the images' extensions.
        path_column: names of the columns; ``split_column`` may be missing from the file.
        val_share: taken from the training rows if no row says ``val``; ``test_share`` likewise.
    """

    path: str
    _: KW_ONLY
    root: str | None = None
    path_column: str = "path"
    split_column: str = USUAL_COLUMN


def read_images(
    options: ImageTableOptions, base: Path, columns: Sequence[str], label: Callable[[Row], Any]
) -> tuple[Path, list[Listed], list[str]]:
    """Return the table's path, its images with the ``label`` of each row, and a line for each unusable row.

    Args:
        columns: that the table must have besides the paths.

    Raises:
        DataError: the table cannot be read, lacks a column, or has rows that cannot be used and are not skipped.
    """
    table = given_path(base, options.path)
    root = given_path(base, options.root) if options.root else None

    def listed(row: Row) -> Listed:
        return Listed(row.image(options.path_column, root), label(row), row.split(options.split_column))

    rows = rows_of(table, (options.path_column, *columns))
    images, problems = usable(rows, listed, options.on_error)
    if not images and not problems:
        raise DataError(f"{table}: no row below the header; expected one per image")
    return table, images, problems
