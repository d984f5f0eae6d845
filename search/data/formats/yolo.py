"""Boxes in YOLO text files, one per image, as in Ultralytics (https://docs.ultralytics.com/datasets/detect/)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from search.data import yaml_documents, yolo_rows
from search.data.boxes import AnnotatedImage, Faults, dataset
from search.data.class_folders import folder_called
from search.data.files import Walk, visible
from search.data.formats._base import Format
from search.data.given_paths import given_path
from search.data.images import EXTENSIONS
from search.data.sample import Dataset, Split
from search.data.split_names import SPLITS, split_of
from search.data.split_options import SplitOptions
from search.data.tabular import lines_of
from search.errors import DataError
from spaces.errors import first_line

_BESIDE = (".txt", ".cache", ".yaml", ".yml", ".names", ".labels", ".data")
"""Files of the data set besides its images."""
_NAMES = ("classes.txt", "labels/classes.txt", "*.names", "train/_darknet.labels", "labels.txt")
"""Files of class names without a ``data.yaml``: by labelImg, Label Studio, Darknet and Roboflow."""
_OUTLINES = ("segment", "segmentation", "obb")


@dataclass(frozen=True, slots=True)
class Options(SplitOptions):
    """A data set as ``data.yaml`` describes it.

    Attributes:
        path: ``data.yaml``, or its folder. Without one, a folder with ``images/`` and ``labels/`` (with or without
            ``train/``, ``val/`` and ``test/`` in them), or with text files beside the images, and with the class names
            in ``classes.txt``, ``obj.names`` or ``_darknet.labels``.
        classes: names of the classes, in order; by default those of ``data.yaml`` or ``classes.txt``.
        val_share, test_share, seed: of the split made if none is given.
        on_error: ``refuse`` faulty boxes and broken images, or ``skip`` and list them.
    """

    path: str
    classes: tuple[str, ...] = ()


class Yolo(Format):
    """``class x y width height`` per line, centre and size in fractions of the image.

    Outlines and rotated boxes are replaced by the upright box around them, rows with key points by their leading box.
    """

    name, options, suffixes = "yolo", Options, (".yaml", ".yml")

    def read(self, options: Options, base: Path) -> Dataset:
        path = given_path(base, options.path)
        if not path.exists():
            raise DataError(f"{path} does not exist; `data.path` is relative to the study file")
        file = path if path.is_file() else next((f for f in _described(path) if f.is_file()), None)
        root, walk = path.parent if path.is_file() else path, Walk()
        layout = _from_yaml(file) if file is not None else _from_folders(root, walk)
        names = options.classes or layout.names
        if not names:
            raise DataError(
                f"{root}: no class names; expected data.yaml with `names`, classes.txt with one name per line, or "
                "`data.classes`"
            )
        images = [(image, split) for split, folders in layout.parts.items() for image in _images(folders, walk)]
        for split, folders in layout.parts.items():
            if split is not Split.TEST and not any(part is split for _, part in images):
                raise DataError(f"{root}: no {split} image in {', '.join(map(str, folders))}; put some there")
        faults = Faults(root.name)
        labels = [_label(image) for image, _ in images]
        rows = [yolo_rows.read_rows(label, names, faults) for label in labels]
        boxes = yolo_rows.boxes_of(rows, layout.keypoints, faults, are_outlines=layout.task in _OUTLINES)
        has_val = Split.VAL in layout.parts
        listed = [
            AnnotatedImage(
                image, str(label), split if has_val or split is not Split.TRAIN else None, drawn, in_shares=True
            )
            for (image, split), label, drawn in zip(images, labels, boxes, strict=True)
        ]
        made = dataset(root.name, listed, options, names, faults)
        return replace(made, notes=(*made.notes, *walk.lines()))


@dataclass(frozen=True, slots=True)
class _Described:
    """The content of ``data.yaml``: class names, image folders or lists by split, ``kpt_shape``, the task."""

    names: tuple[str, ...]
    parts: dict[Split, list[Path]]
    keypoints: tuple[int, int] | None = None
    task: str = ""


def _described(folder: Path) -> list[Path]:
    usual = [folder / name for name in ("data.yaml", "data.yml", "dataset.yaml")]
    return [*usual, *visible(folder, "*.yaml", "*.yml")]


def _from_yaml(file: Path) -> _Described:
    try:
        data: Any = yaml_documents.load(file.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{file}: not YAML: {first_line(error)}") from error
    if not isinstance(data, dict) or not data.get("train"):
        raise DataError(f"{file}: needs `train:` with a folder of images, and `names:` with the classes")
    names = data.get("names", ())
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            raise DataError(f"{file}: the keys of `names` must be 0 to {len(names) - 1}, got {list(names)}")
        names = [names[index] for index in range(len(names))]
    if not isinstance(names, list | tuple):
        raise DataError(f"{file}: `names` must be a list of class names, got {names!r}")
    if len(set(map(str, names))) < len(names):
        raise DataError(f"{file}: a class is listed twice under `names`, {names!r}; rename one of them")
    base = file.parent / str(data["path"]) if data.get("path") else file.parent
    parts: dict[Split, list[Path]] = {}
    for key, split in SPLITS.items():
        given = data.get(key)
        if given:
            listed = given if isinstance(given, list) else [given]
            parts.setdefault(split, []).extend(_place(file, base, str(name)) for name in listed)
    keypoints, task = _keypoints(file, data.get("kpt_shape")), str(data.get("task", "")).lower()
    return _Described(tuple(str(name) for name in names), parts, keypoints, task)


def _keypoints(file: Path, given: Any) -> tuple[int, int] | None:
    if given is None:
        return None
    if (
        not isinstance(given, list)
        or not all(type(number) is int for number in given)
        or len(given) != 2
        or given[0] < 1
        or given[1] not in (2, 3)
    ):
        raise DataError(f"{file}: `kpt_shape` must be [key points, 2 or 3 numbers each], got {given!r}")
    return given[0], given[1]


def _place(file: Path, base: Path, name: str) -> Path:
    """Return the path that an entry of ``data.yaml`` names; many start one folder too high (``../train/images``)."""
    for root in (base, file.parent):
        for text in (name, name.removeprefix("../")):
            if (root / text).exists():
                return root / text
    raise DataError(f"{file}: {base / name} does not exist; paths start at `path:`, or at the file's own folder")


def _from_folders(root: Path, walk: Walk) -> _Described:
    listed = next(iter(visible(root, *_NAMES)), None)
    names = tuple(lines_of(listed)) if listed is not None else ()
    images = folder_called(root, "images")
    images = images if images.is_dir() else root
    parts: dict[Split, list[Path]] = {}
    for folder in walk.folders(images):
        split = split_of(folder.name)
        if split is not None:
            parts.setdefault(split, []).append(folder)
    return _Described(names, parts if Split.TRAIN in parts else {Split.TRAIN: [images]})


def _images(folders: Sequence[Path], walk: Walk) -> list[Path]:
    paths: list[Path] = []
    for entry in folders:
        if entry.is_dir():
            paths += walk.files(entry, EXTENSIONS, beside=_BESIDE)
        else:
            paths += [entry.parent / line for line in lines_of(entry)]
    return paths


def _label(image: Path) -> Path:
    """Return the text file of an image: with ``labels`` for the last ``images`` in its path, else beside it."""
    parts = list(image.parts)
    places = [index for index, part in enumerate(parts[:-1]) if part.lower() == "images"]
    if places:
        labels = Path(*parts[: places[-1]], "labels")
        parts[: places[-1] + 1] = (labels if labels.is_dir() else folder_called(labels.parent, "labels")).parts
    return Path(*parts).with_suffix(".txt")


format = Yolo()  # noqa: A001  # the room's word for its plug-in
