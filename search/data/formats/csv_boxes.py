"""A table of image paths and boxes, one box per row, as written by TensorFlow's tools and Roboflow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from search.data.boxes import AnnotatedImage, BoxAnnotation, Faults, dataset
from search.data.formats._base import Format
from search.data.given_paths import given_path
from search.data.sample import Dataset, Split
from search.data.split_names import USUAL_COLUMN
from search.data.split_options import SplitOptions
from search.data.tabular import Row, rows_of
from search.errors import DataError

CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, slots=True)
class Options(SplitOptions):
    """A CSV file with a header line and one row per box; corners in pixels of the upright image.

    Attributes:
        path: of the table, or of a folder with one for each split: ``train.csv``, ``val.csv``, or ``train/NAME.csv``.
        root: where image paths start; the table's own folder by default. Paths may lack the images' extensions.
        label_column: names the class; a row without a class and corners is an image without a box.
        corner_columns: left, top, right and bottom.
        split_column: may be missing from the file.
        val_share, test_share, seed: of the split made if none is given.
        on_error: ``refuse`` faulty boxes and broken images, or ``skip`` and list them.
    """

    path: str
    root: str | None = None
    path_column: str = "filename"
    label_column: str = "class"
    corner_columns: tuple[str, str, str, str] = CORNERS
    split_column: str = USUAL_COLUMN


class CsvBoxes(Format):
    """The rows of an image hold its boxes."""

    name, options, suffixes = "csv_boxes", Options, (".csv", ".tsv")

    def read(self, options: Options, base: Path) -> Dataset:
        table = given_path(base, options.path)
        root = given_path(base, options.root) if options.root else None
        faults = Faults(table.stem)
        boxes: dict[tuple[Path, Split | None], tuple[str, list[BoxAnnotation]]] = {}
        for row in rows_of(table, (options.path_column, options.label_column, *options.corner_columns)):
            try:
                key = row.image(options.path_column, root).path, row.split(options.split_column)
                _, drawn = boxes.setdefault(key, (row.place, []))
                drawn.extend(_boxes(row, options))
            except DataError as error:
                faults.add(str(error))
        annotated = [AnnotatedImage(path, place, split, drawn) for (path, split), (place, drawn) in boxes.items()]
        return dataset(table.stem, annotated, options, None, faults)


def _boxes(row: Row, options: Options) -> list[BoxAnnotation]:
    """Return the boxes in a row: one, or none for an image without boxes."""
    if not any(row.values[column] for column in (options.label_column, *options.corner_columns)):
        return []
    left, top, right, bottom = (row.number(column) for column in options.corner_columns)
    return [BoxAnnotation(row.place, row.text(options.label_column, "a class"), (left, top, right, bottom))]


format = CsvBoxes()  # noqa: A001  # the room's word for its plug-in
