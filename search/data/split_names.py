"""Tells from the name of a file or folder which split it holds: training, validation or test."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from search.data.files import visible
from search.data.sample import Split
from search.errors import DataError

SPLITS = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "val": Split.VAL,
    "valid": Split.VAL,
    "validation": Split.VAL,
    "dev": Split.VAL,
    "test": Split.TEST,
    "testing": Split.TEST,
}
"""Words that people use for the splits of their data."""
USUAL_COLUMN = "split"
"""Of a table, with one of these words in a row."""
HELD_OUT = {"is_valid": Split.VAL, "is_val": Split.VAL, "is_validation": Split.VAL, "is_test": Split.TEST}
"""Columns of a table, as fastai has them, that say true of what is not for training."""
_BETWEEN = re.compile(r"[^a-z]+")


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case; digits separate them too."""
    return [word for word in _BETWEEN.split(name.lower()) if word]


def split_of(name: str) -> Split | None:
    """Return the split that one word of the name stands for: ``train``, ``seg_train``, ``instances_val2017``.

    None if no word does, or if two words stand for different splits (``train_test_split``).
    """
    meant = {SPLITS[word] for word in words_of(name) if word in SPLITS}
    return meant.pop() if len(meant) == 1 else None


def files_of(folder: Path, suffixes: Sequence[str]) -> dict[Split, Path]:
    """Return the file of each split: ``train.tsv``, ``reviews_train.csv``, ``train/_classes.csv`` ...

    A split is a file in ``folder``, or the only file with one of the ``suffixes`` in a folder of its own.

    Raises:
        DataError: none for training, or two for one split.
    """
    named: dict[Split, list[Path]] = {}
    for entry in visible(folder):
        split = split_of(entry.stem if entry.is_file() else entry.name)
        files = [entry] if entry.is_file() else visible(entry) if split and entry.is_dir() else []
        fitting = [file for file in files if file.suffix.lower() in suffixes and file.is_file()]
        if split is not None and len(fitting) == 1:
            named.setdefault(split, []).append(fitting[0])
    by_split: dict[Split, Path] = {}
    for split, candidates in named.items():
        # With test_labels.csv beside it, test.csv is meant.
        exact = [file for file in candidates if file.parent == folder and file.stem.lower() in SPLITS] or candidates
        if len(exact) > 1:
            both = " and ".join(str(file.relative_to(folder)) for file in exact[:2])
            raise DataError(f"{folder} has both {both} for {split}; name a file as `data.path`, or remove one of them")
        by_split[split] = exact[0]
    if Split.TRAIN not in by_split:
        raise DataError(f"{folder} has no train file; expected train{suffixes[0]} ({', '.join(suffixes)}), dev, test")
    return {split: by_split[split] for split in Split if split in by_split}
