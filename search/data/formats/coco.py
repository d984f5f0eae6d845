"""Boxes in COCO JSON (https://cocodataset.org/#format-data)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.data.boxes import AnnotatedImage, BoxAnnotation, Faults, dataset
from search.data.files import is_passed_over
from search.data.formats._base import Format
from search.data.images import is_there
from search.data.sample import Dataset, Split
from search.data.split_options import SplitOptions
from search.data.tabular import SPLITS
from search.errors import DataError


@dataclass(frozen=True, slots=True)
class Options(SplitOptions):
    """Annotations of training images, and of others.

    Attributes:
        path: a JSON file, or a folder with one a split: ``annotations/instances_train2017.json`` beside
            ``train2017/``, or ``train/_annotations.coco.json`` beside its images.
        val, test: further JSON files, where ``path`` is one; without ``val`` it is cut from training.
        images: folder that file names start at; found beside the annotations by default.
        val_share, test_share, seed: of the cut when no split is given.
        on_error: ``refuse`` faulty boxes and broken images, or ``skip`` and list them.
    """

    path: str
    val: str | None = None
    test: str | None = None
    images: str | None = None


class Coco(Format):
    """One JSON file a split; regions marked ``iscrowd`` are neither trained on nor counted."""

    name, options, suffixes = "coco", Options, (".json",)

    def read(self, options: Options, base: Path) -> Dataset:
        root = base / Path(options.path).expanduser()
        files = _files(root, options, base)
        faults = Faults(root.stem)
        images = base / Path(options.images).expanduser() if options.images else None
        listed: list[AnnotatedImage] = []
        names: dict[str, None] = {}
        for file, split in files:
            data = _loaded(file)
            categories = _categories(file, data)
            names |= dict.fromkeys(categories.values())
            listed += _listed(file, data, categories, images, split, faults)
        return dataset(root.stem, listed, options, tuple(names), faults)


def _files(root: Path, options: Options, base: Path) -> list[tuple[Path, Split | None]]:
    """Return the annotation files with their splits; a single one without a split is cut later."""
    named = [(name, split) for name, split in ((options.val, Split.VAL), (options.test, Split.TEST)) if name]
    others: list[tuple[Path, Split | None]] = [(base / Path(name).expanduser(), split) for name, split in named]
    if not root.exists():
        raise DataError(f"annotations {root} do not exist; `data.path` is relative to the study file")
    if root.is_file():
        return [(root, Split.TRAIN if options.val else None), *others]
    found = list(others)
    files = sorted({*root.glob("*.json"), *root.glob("annotations/*.json"), *root.glob("*/*.json")})
    for file in (file for file in files if not any(map(is_passed_over, file.relative_to(root).parts))):
        split = _split_of(file)
        if split is not None and split not in [known for _, known in found] and _is_instances(file):
            found.append((file, split))
    if Split.TRAIN not in [split for _, split in found]:
        raise DataError(
            f"{root}: no COCO annotations of training images; expected annotations/instances_train*.json or "
            "train/_annotations.coco.json, or name the JSON file itself; for other formats set `format: voc` or "
            "`format: yolo` under `data:`"
        )
    if Split.VAL not in [split for _, split in found]:
        found = [(file, None if split is Split.TRAIN else split) for file, split in found]
    return found


def _split_of(file: Path) -> Split | None:
    """Return the split that the name of the file, or of its folder, says: ``instances_val2017.json`` is for val."""
    for text in (file.stem, file.parent.name):
        for word in text.lower().replace("-", "_").replace(".", "_").split("_"):
            split = SPLITS.get(word.rstrip("0123456789"))
            if split is not None:
                return split
    return None


def _is_instances(file: Path) -> bool:
    """Return whether the file is about boxes: captions and key points of the same images have other names."""
    return not any(word in file.stem for word in ("captions", "keypoints", "image_info", "panoptic", "stuff"))


def _loaded(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        raise DataError(f"annotations {file} do not exist; paths are relative to the study file")
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: not JSON: {error}") from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    missing = [
        key
        for key in ("images", "annotations", "categories")
        if not isinstance(data, dict) or not isinstance(data.get(key), list)
    ]
    if missing:
        raise DataError(f"{file}: no COCO annotations: it lacks the list {missing[0]!r}")
    content: dict[str, Any] = data
    return content


def _categories(file: Path, data: Mapping[str, Any]) -> dict[int, str]:
    names: dict[int, str] = {}
    for index, category in enumerate(data["categories"]):
        try:
            number, name = int(category["id"]), str(category["name"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{file}: categories[{index}] needs an `id` and a `name`, got {category!r}") from error
        if names.setdefault(number, name) != name:
            raise DataError(f"{file}: the category id {number} is both {names[number]!r} and {name!r}")
    return names


def _listed(
    file: Path,
    data: Mapping[str, Any],
    categories: Mapping[int, str],
    images: Path | None,
    split: Split | None,
    faults: Faults,
) -> list[AnnotatedImage]:
    boxes: dict[Any, list[BoxAnnotation]] = defaultdict(list)
    for index, annotation in enumerate(data["annotations"]):
        box = _box(file, index, annotation, categories, faults)
        if box is not None:
            boxes[annotation["image_id"]].append(box)
    listed: list[AnnotatedImage] = []
    root: Path | None = images
    seen: set[Any] = set()
    for index, image in enumerate(data["images"]):
        try:
            number, name = image["id"], str(image["file_name"])
            hash(number)
            size = (int(image["width"]), int(image["height"])) if image.get("width") and image.get("height") else None
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            wanted = "an `id`, a `file_name`, and a `width` and `height` in pixels if any"
            raise DataError(f"{file}: images[{index}] needs {wanted}; got {image!r}") from error
        if number in seen:
            raise DataError(f"{file}: images[{index}] has the id {number!r} of another image")
        seen.add(number)
        root = root or _root(file, name)
        where = f"{file.name}, image {name}"
        listed.append(AnnotatedImage(root / name, where, split, boxes.pop(number, []), size))
    for number, lost in boxes.items():
        faults.add(f"{lost[0].place}: image_id {number!r} is not among the images")
    return listed


def _box(
    file: Path, place: int, annotation: Any, categories: Mapping[int, str], faults: Faults
) -> BoxAnnotation | None:
    where = f"{file.name}, annotations[{place}]"
    try:
        left, top, width, height = (float(side) for side in annotation["bbox"])
        number = annotation["category_id"]
        hash((annotation["image_id"], number))
    except (KeyError, TypeError, ValueError):
        faults.add(f"{where}: needs an `image_id`, a `category_id` and a `bbox` of [x, y, width, height] in pixels")
        return None
    label = categories.get(number, f"id {number}")
    return BoxAnnotation(where, label, (left, top, left + width, top + height), bool(annotation.get("iscrowd")))


def _root(file: Path, first: str) -> Path:
    """Return the folder in which the image ``first`` of the annotations lies; the annotations' own when nowhere."""
    part = next((word for word in file.stem.split("_") if SPLITS.get(word.rstrip("0123456789").lower())), "")
    above = file.parent.parent
    places = [
        *(file.parent, file.parent / "images", above / part, above / "images" / part, above / "images"),
        *(above, file.parent / part, file.parent / "images" / part),
    ]
    return next((folder for folder in places if is_there(folder / first)), file.parent)


format = Coco()  # noqa: A001  # the room's word for its plug-in
