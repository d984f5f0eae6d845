"""Data sets read with Hugging Face's ``datasets``: from the hub by name, or from a local path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from search.data.given_paths import given_path
from search.data.sample import Split
from search.data.split_names import SPLITS
from search.data.tabular import Row
from search.data.text_tables import Table, plain_text
from search.data.texts import TextOptions
from search.errors import DataError
from spaces.errors import first_line


@dataclass(frozen=True, slots=True, kw_only=True)
class HubOptions(TextOptions):
    """A data set of Hugging Face; needs ``pip install 'ftsearch[datasets]'``.

    Attributes:
        dataset: its name on the hub (``stanfordnlp/sst2``), or a folder written by ``save_to_disk`` or with files that
            ``load_dataset`` reads. A data set's own code is never run.
        config: one of its configurations (``mrpc`` of ``nyu-mll/glue``).
        revision: commit, tag or branch on the hub.
        val_split, test_split: names of its splits; guessed from their names by default.
        val_share: taken from the training rows if there is no validation split; ``test_share`` likewise.
        limit: most samples to take from each split, drawn with ``seed``; all by default.
    """

    dataset: str
    config: str | None = None
    revision: str | None = None
    train_split: str = "train"
    val_split: str | None = None
    test_split: str | None = None


def parts_of(options: HubOptions, base: Path) -> dict[Split, Any]:
    """Return the parts of a data set, each a ``datasets.Dataset``.

    Raises:
        DataError: the library is missing, there is no such data set, configuration or part.
    """
    if find_spec("datasets") is None:
        raise DataError("data sets of Hugging Face need a library: pip install 'ftsearch[datasets]'")
    opened = _opened(options, base)
    if not hasattr(opened, "keys"):
        return {Split.TRAIN: opened}
    given = {Split.TRAIN: options.train_split, Split.VAL: options.val_split, Split.TEST: options.test_split}
    parts: dict[Split, Any] = {}
    for split, name in given.items():
        known = name or next((one for one in opened if SPLITS.get(one.lower()) is split), None)
        if known is not None and known not in opened:
            raise DataError(f"{options.dataset}: no part {known!r}; it has {', '.join(opened)}")
        if known is not None:
            parts[split] = opened[known]
    return parts


def _opened(options: HubOptions, base: Path) -> Any:
    library = import_module("datasets")
    folder = given_path(base, options.dataset)
    bars = library.are_progress_bars_disabled()
    library.disable_progress_bars()
    try:
        if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
            return library.load_from_disk(str(folder))
        where = str(folder) if folder.is_dir() else options.dataset
        return library.load_dataset(where, options.config, revision=options.revision)
    except Exception as error:  # the library and its dependencies have no single error type for all of this
        reason = first_line(error)
        raise DataError(
            f"cannot open the data set {options.dataset!r}: {reason}; expected a name on Hugging Face's hub or a "
            f"folder (relative ones start at {base})"
        ) from error
    finally:
        if not bars:
            library.enable_progress_bars()


def tables_of(options: HubOptions, base: Path) -> list[Table]:
    """Return the parts of a data set as tables, with class names in place of class numbers.

    Raises:
        DataError: as in ``parts_of``.
    """
    return [
        Table(
            f"{options.dataset}[{split}]", split, tuple(part.column_names), _rows(f"{options.dataset}[{split}]", part)
        )
        for split, part in parts_of(options, base).items()
    ]


def _rows(name: str, part: Any) -> Iterator[Row | str]:
    named = {column: names_of(feature) for column, feature in part.features.items()}
    for number, entry in enumerate(part):
        values = {column: _word(value, named[column]) for column, value in entry.items()}
        yield Row(f"{name}, row {number}", values)


def names_of(feature: Any) -> tuple[str, ...]:
    """Return the names of the classes that a column's numbers stand for; none if they are not classes."""
    inner = getattr(feature, "feature", feature)
    return tuple(getattr(inner, "names", None) or ())


def _word(value: Any, names: tuple[str, ...]) -> str:
    if names and isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return plain_text(value)
