"""Tables of texts with any number of labels each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from search.data import text_tables, texts
from search.data.broken_samples import refuse
from search.data.formats._base import Format
from search.data.sample import Dataset, Split
from search.data.tabular import Row, check_labels
from search.data.text_tables import Table, TableOptions
from search.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(TableOptions):
    """A table with a header line, or a folder with one for each split.

    Attributes:
        label_column: holds a row's labels, divided by ``separator`` or as a JSON list; an empty one means none.
        label_columns: instead, one column per class that says 1 or 0, yes or no.
    """

    label_column: str | None = None
    separator: str = ";"
    label_columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        TableOptions.__post_init__(self)
        check_labels(self.separator, self.label_columns)
        if self.label_columns and self.label_column is not None:
            raise ValueError("label_column and label_columns mean the same; leave one of them out")


class TextLabels(Format):
    """CSV, TSV or JSON lines: a text, perhaps a second one, and the names of all its labels."""

    name, options, suffixes = "text_labels", Options, text_tables.SUFFIXES

    def read(self, options: Options, base: Path) -> Dataset:
        name, tables = text_tables.tables_of(options.path, base)
        listed, problems = text_tables.read_texts(tables, options, partial(_labels, options))
        refuse(problems, options.on_error)
        training = [item.label for item in listed if item.split in (None, Split.TRAIN)]
        known = options.label_columns or texts.ordered_names([label for labels in training for label in labels])
        if not known:
            raise DataError(f"{name}: no training row has a label")
        unseen = sorted(set(known) - {label for labels in training for label in labels})
        if unseen:
            raise DataError(f"{name}: no training row has the label {unseen[0]!r}; every label needs some in train")
        strange = [
            f"{texts.place_of(item)}: the label {label!r} is not among those of training"
            for item in listed
            for label in item.label
            if label not in known
        ]
        index = {label: number for number, label in enumerate(known)}
        return texts.collect(
            name,
            [item for item in listed if all(label in index for label in item.label)],
            [*problems, *strange],
            options,
            names=known,
            encode=lambda labels: tuple(sorted(index[label] for label in labels)),
            written=lambda target: "+".join(known[number] for number in target),
            divide=options.by_classes(len(known)),
        )


def _labels(options: Options, table: Table) -> Callable[[Row], tuple[str, ...]]:
    if options.label_columns:
        for name in options.label_columns:
            text_tables.column(table, name, (), "labels", "label_columns")
        return lambda row: row.marked(options.label_columns)
    column = text_tables.column(table, options.label_column, text_tables.LABEL_NAMES, "labels", "label_column")
    return partial(_listed, column, options.separator)


def _listed(column: str, separator: str, row: Row) -> tuple[str, ...]:
    word = row.values[column]
    given = word.split(separator)
    if word.startswith("["):
        try:
            given = [text_tables.plain_text(entry) for entry in json.loads(word)]
        except (RecursionError, ValueError) as error:
            raise DataError(f"{row.place}: the column {column!r} holds no valid JSON list: {error}") from error
    return tuple(dict.fromkeys(name.strip() for name in given if name.strip()))


format = TextLabels()  # noqa: A001  # the room's word for its plug-in
