"""Layouts of image data sets that have no table: boxes, masks and class folders, found by content."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from search.data import coco_files
from search.data.class_folders import class_parts, folder_called, folders_in
from search.data.files import visible
from search.data.images import EXTENSIONS
from search.data.sample import Split
from search.data.split_names import split_of
from search.errors import DataError
from search.new_study import mask_layouts
from search.new_study.recognised import Recognised

_LOOKED_AT = 200
"""Number of files of a folder that are examined."""
_FEW = 5
_VOC = "Annotations"


def of_folder(folder: Path) -> list[Recognised]:
    """Return tasks and formats of the images in ``folder``, each pair once."""
    annotated = [*_coco(folder), *_voc(folder), *_yolo(folder), *mask_layouts.of_folder(folder)]
    return annotated or _class_folders(folder)


def of_coco_file(file: Path, path: Path | None = None) -> list[Recognised]:
    """Return the tasks of a COCO JSON: boxes, and masks if it has outlines; empty for any other file.

    ``path`` is what the study file is to name; the file itself by default.
    """
    try:
        data: Any = coco_files.load(file)
    except DataError:
        return []  # the format says so if it is chosen; here it is only no COCO JSON
    annotations = [one for one in data["annotations"][:_LOOKED_AT] if isinstance(one, dict)]
    recognised = []
    if any("bbox" in one for one in annotations):
        recognised.append(Recognised("detection", "coco", f"COCO boxes in {file.name}", path or file))
    if any(one.get("segmentation") for one in annotations):
        recognised.append(Recognised("segmentation", "coco_masks", f"COCO outlines in {file.name}", path or file))
    return recognised


def _coco(folder: Path) -> list[Recognised]:
    try:
        files = coco_files.files_of(folder)
    except coco_files.AmbiguousError as error:
        return [one for file in error.files for one in of_coco_file(file)]
    except DataError:
        return []
    return of_coco_file(files[0][0], folder)


def _voc(folder: Path) -> list[Recognised]:
    own = [inner for inner in folders_in(folder) if (inner / _VOC).is_dir()]
    if own and not (folder / _VOC).is_dir():
        return [one for inner in own for one in _voc(inner)]  # VOCdevkit/VOC2007 has its own lists of parts
    for pattern in ("*.xml", "*/*.xml", "*/*/*.xml"):
        files = sorted(visible(folder, pattern), key=lambda file: split_of(file.parent.name) is not Split.TRAIN)
        if any("<annotation" in head(file) for file in files[:_FEW]):
            where = files[0].parent.relative_to(folder)
            return [Recognised("detection", "voc", f"{where / '*.xml'}", folder)]
    return []


def _yolo(folder: Path) -> list[Recognised]:
    for file in visible(folder, "*.yaml", "*.yml"):
        lines = head(file).split("\n")
        if all(any(line.startswith(f"{key}:") for line in lines) for key in ("train", "names")):
            return [Recognised("detection", "yolo", f"a YOLO description, {file.name}", folder)]
    for place in (folder_called(root, "labels") for root in (folder, *folders_in(folder))):
        if place.is_dir() and _have_boxes(islice(place.rglob("*.txt"), _LOOKED_AT)):
            return [Recognised("detection", "yolo", f"{place.relative_to(folder)}/*.txt with numbers", folder)]
    for place in (folder, *folders_in(folder)):
        texts = visible(place, "*.txt")
        images = {file.stem for file in visible(place) if file.suffix.lower() in EXTENSIONS} if texts else ()
        if _have_boxes(file for file in texts if file.stem in images):
            where = "" if place == folder else f"{place.name}/"
            return [Recognised("detection", "yolo", f"{where}*.txt with numbers beside images", folder)]
    return []


def _have_boxes(files: Iterable[Path]) -> bool:
    """Return whether one of the first files that are not empty has a class and four numbers or more a line."""
    lines = (head(file).split("\n")[0].split() for file in files)
    # Decimal commas are reported by the format.
    numbers = ([word.replace(",", ".") for word in words] for words in islice(filter(None, lines), _FEW))
    return any(len(words) >= 5 and are_numbers(words) for words in numbers)


def _class_folders(folder: Path) -> list[Recognised]:
    parts = class_parts(folder)
    train = next(part for part, split in parts.items() if split in (None, Split.TRAIN))
    classes = [inner for inner in folders_in(train) if _has_images(inner)]
    # train_images beside test_images, and images beside masks, are not classes.
    named = [inner for inner in classes if not mask_layouts.is_no_class(inner.name)]
    if len(named) < 2 or all(split_of(inner.name) for inner in named):
        return []
    return [Recognised("classification", "image_folder", f"{len(classes)} class folders", folder)]


def _has_images(folder: Path, endings: Sequence[str] = EXTENSIONS) -> bool:
    return any(file.suffix.lower() in endings for file in islice(folder.rglob("*"), _LOOKED_AT))


def are_numbers(words: Sequence[str]) -> bool:
    """Return whether all words are numbers, NaN not among them."""
    try:
        return all(float(word) == float(word) for word in words)
    except ValueError:
        return False


def head(file: Path) -> str:
    """Return the beginning of a text file; empty for a folder, a pipe, or an unreadable file."""
    if not file.is_file():
        return ""
    try:
        with file.open("rb") as opened:
            begin = opened.read(20_000)
    except OSError:
        return ""
    coding = "utf-16" if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    return begin.decode(coding, errors="replace").replace("\r\n", "\n").replace("\r", "\n")
