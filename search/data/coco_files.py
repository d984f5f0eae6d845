"""COCO JSON files (https://cocodataset.org/#format-data): finds those of a folder, and their images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search.data.class_folders import folders_in
from search.data.files import visible
from search.data.images import is_there, located
from search.data.sample import Split
from search.data.split_names import split_of
from search.errors import DataError

KEYS = ("images", "annotations", "categories")
_OTHER = ("captions", "keypoints", "image_info", "panoptic", "stuff")
_DEEPEST = 3


class AmbiguousError(DataError):
    """A folder has several COCO files, and no name shows which one is for training."""

    def __init__(self, root: Path, files: Sequence[Path]) -> None:
        shown = ", ".join(str(file.relative_to(root)) for file in files[:4])
        super().__init__(
            f"{root}: several COCO files, none of which is marked as the one for training: {shown}; name one of them"
        )
        self.files = tuple(files)


def files_of(root: Path) -> list[tuple[Path, Split | None]]:
    """Return the annotation files in ``root`` with their splits; a single file without a split is split later.

    Raises:
        AmbiguousError: several, whose names do not tell which split each is.
        DataError: none for training.
    """
    files = [file for file in visible(root, "*.json", "annotations/*.json", "*/*.json") if _is_of_instances(file)]
    by_split: dict[Split, Path] = {}
    for file in files:
        split = split_of(file.stem) or split_of(file.parent.name)
        if split is not None:
            by_split.setdefault(split, file)
    if Split.TRAIN in by_split:
        cut = Split.VAL not in by_split
        return [(file, None if cut and split is Split.TRAIN else split) for split, file in by_split.items()]
    whole = [file for file in files if _has_keys(file)]
    if len(whole) > 1:
        raise AmbiguousError(root, whole)
    if not whole:
        raise DataError(
            f"{root}: no COCO annotations of training images; expected annotations/instances_train*.json or "
            "train/_annotations.coco.json, or name the JSON file itself; for other formats set `format: voc` or "
            "`format: yolo` under `data:`"
        )
    return [(whole[0], None)]


def load(file: Path) -> Mapping[str, Any]:
    """Return the content of a COCO file, with lists of images, annotations and categories.

    Raises:
        DataError: it is missing, cannot be read, is no JSON, or lacks one of the lists.
    """
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise DataError(f"annotations {file} do not exist; paths are relative to the study file") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: not JSON: {error}") from error
    missing = [key for key in KEYS if not isinstance(data, dict) or not isinstance(data.get(key), list)]
    if missing:
        raise DataError(f"{file}: not COCO annotations: it lacks the list {missing[0]!r}")
    content: dict[str, Any] = data
    return content


def image_folder(file: Path, first: str) -> Path:
    """Return the folder that holds the annotated image ``first``; the annotations' own if there is none."""
    part = next((word for word in file.stem.split("_") if split_of(word)), "")
    above = file.parent.parent
    places = [
        *(file.parent, file.parent / "images", above / part, above / "images" / part, above / "images"),
        *(above, file.parent / part, file.parent / "images" / part),
    ]
    here = above if file.parent.name == "annotations" else file.parent
    usual = next((folder for folder in places if is_there(located(folder, first))), None)
    return usual or _with(here, first, _DEEPEST) or file.parent


def _with(folder: Path, name: str, deepest: int) -> Path | None:
    """Return the folder below ``folder`` that has a file called ``name``."""
    inside = folders_in(folder) if deepest else []
    direct = next((inner for inner in inside if is_there(located(inner, name))), None)
    return direct or next((deeper for inner in inside if (deeper := _with(inner, name, deepest - 1))), None)


def _is_of_instances(file: Path) -> bool:
    """Return whether the file holds objects: captions and key points of the same images have other names."""
    return not any(word in file.stem for word in _OTHER)


def _has_keys(file: Path) -> bool:
    try:
        load(file)
    except DataError:
        return False
    return True
