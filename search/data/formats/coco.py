"""Boxes in COCO JSON (https://cocodataset.org/#format-data)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.data import coco_files
from search.data.boxes import AnnotatedImage, BoxAnnotation, Faults, dataset
from search.data.formats._base import Format
from search.data.given_paths import given_path
from search.data.images import located
from search.data.sample import Dataset, Split
from search.data.split_options import SplitOptions
from search.errors import DataError


@dataclass(frozen=True, slots=True)
class Options(SplitOptions):
    """Annotations of training images, and of others.

    Attributes:
        path: a JSON file, or a folder with a single one, or with one per split:
            ``annotations/instances_train2017.json`` beside ``train2017/``, or ``train/_annotations.coco.json`` beside
            its images.
        val, test: further JSON files, if ``path`` is one; without ``val`` it is taken from training.
        images: folder that file names are relative to; by default found beside the annotations.
        val_share, test_share, seed: of the split made if none is given.
        on_error: ``refuse`` faulty boxes and broken images, or ``skip`` and list them.
    """

    path: str
    val: str | None = None
    test: str | None = None
    images: str | None = None


class Coco(Format):
    """One JSON file per split; regions marked ``iscrowd`` are neither trained on nor counted."""

    name, options, suffixes = "coco", Options, (".json",)

    def read(self, options: Options, base: Path) -> Dataset:
        root = given_path(base, options.path)
        files = _files(root, options, base)
        faults = Faults(root.stem)
        images = given_path(base, options.images) if options.images else None
        listed: list[AnnotatedImage] = []
        names: dict[str, None] = {}
        for file, split in files:
            data = coco_files.load(file)
            categories = _categories(file, data)
            names |= dict.fromkeys(categories.values())
            listed += _listed(file, data, categories, images, split, faults)
        return dataset(root.stem, listed, options, tuple(names), faults)


def _files(root: Path, options: Options, base: Path) -> list[tuple[Path, Split | None]]:
    """Return the annotation files with their splits; a single file without a split is split later."""
    named = [(name, split) for name, split in ((options.val, Split.VAL), (options.test, Split.TEST)) if name]
    others: list[tuple[Path, Split | None]] = [(given_path(base, name), split) for name, split in named]
    if not root.exists():
        raise DataError(f"annotations {root} do not exist; `data.path` is relative to the study file")
    if root.is_file():
        return [(root, Split.TRAIN if options.val else None), *others]
    known = {split for _, split in others}
    files = [(file, split) for file, split in coco_files.files_of(root) if split not in known]
    return [*others, *((file, Split.TRAIN if options.val and split is None else split) for file, split in files)]


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
        root = root or coco_files.image_folder(file, name)
        where = f"{file.name}, image {name}"
        listed.append(AnnotatedImage(located(root, name), where, split, boxes.pop(number, []), size))
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


format = Coco()  # noqa: A001  # the room's word for its plug-in
