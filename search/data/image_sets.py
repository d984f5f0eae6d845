"""Lists of image names by split, as in Pascal VOC: ``ImageSets/Main/train.txt``."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from search.data.files import visible
from search.data.sample import Split
from search.data.split_names import SPLITS
from search.data.tabular import lines_of
from search.errors import DataError


def listed_names(folder: Path, annotations: Path, suffix: str) -> dict[Split, list[str]]:
    """Return the names that the lists in ``folder`` hold for each split; nothing if no list is for training.

    Args:
        folder: with ``train.txt``, ``val.txt`` and ``test.txt``.
        annotations: where ``NAME`` + ``suffix`` is the annotation of a listed name.

    Raises:
        DataError: a name is in two lists, or a list is no UTF-8 text.
    """
    lists: dict[Split, list[str]] = {}
    for file in visible(folder, "*.txt"):
        split = SPLITS.get(file.stem.lower())
        if split is not None:
            lists[split] = [_name(line, annotations, suffix) for line in lines_of(file)]
    seen: dict[str, Split] = {}
    for split, names in lists.items():
        for name in names:
            if seen.setdefault(name, split) is not split:
                raise DataError(f"{folder}: {name} is listed in both {seen[name]} and {split}; keep it in one of them")
    return lists if Split.TRAIN in lists else {}


def _name(line: str, annotations: Path, suffix: str) -> str:
    """Return the name that a line of a list holds.

    The list of a class adds to each name whether the image shows it, and others have paths of the image and of its
    annotation (``/JPEGImages/1.jpg /SegmentationClass/1.png``); names may hold blanks themselves.
    """
    first = line.split(maxsplit=1)[0]
    names = (line, first, PurePosixPath(first).stem)
    return next((name for name in names if (annotations / f"{name}{suffix}").is_file()), first)
