"""COCO JSON with object polygons or run-length masks, rendered to one class per pixel."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from search.data import coco_files
from search.data.assembly import Listed, in_parallel
from search.data.broken_samples import refuse
from search.data.formats._base import Format
from search.data.given_paths import given_path
from search.data.images import FileImage, is_there, located
from search.data.masks import VOID, Classes, gather_masks, size_of
from search.data.sample import Dataset, Split
from search.data.split_options import SplitOptions
from search.errors import DataError
from search.records.plain_text import LONGEST_PATH, curtailed
from search.records.study import Json

_NEEDED = (
    "COCO outlines need a package that is not installed; install it with `pip install faster-coco-eval` "
    "or `pip install 'ftsearch[coco]'`"
)


@dataclass(frozen=True, slots=True)
class Options(SplitOptions):
    """A JSON file in COCO's form, with polygons or run-length masks as ``segmentation``.

    Attributes:
        path: of the training file, or of a folder with a single file or one per split, as in the format ``coco``;
            ``val`` and ``test`` are those of the other splits.
        root: folder that ``file_name`` is relative to; by default found beside each file. ``val_root`` and
            ``test_root`` likewise, by default ``root``.
        background: name of the class of pixels without an object; null ignores them.
        val_share: taken from the training images if there is no ``val``; ``test_share`` likewise.
        on_error: ``refuse`` wrong outlines, missing and broken images, or ``skip`` those images and list them.
    """

    path: str
    val: str | None = None
    test: str | None = None
    root: str | None = None
    val_root: str | None = None
    test_root: str | None = None
    background: str | None = "background"


@dataclass(frozen=True, slots=True)
class Shape:
    """One object: its class, and its pixels in COCO's compressed run lengths."""

    label: int
    counts: bytes


@dataclass(frozen=True, slots=True)
class ShapesMask:
    """The objects of one image, the largest first: smaller ones are painted on top."""

    width: int
    height: int
    shapes: tuple[Shape, ...]
    rest: int
    pixels: tuple[tuple[int, int], ...]
    digest: str

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width

    def open(self) -> Classes:
        """Return the class of every pixel ``(H, W)``."""
        return _paint(self.width, self.height, self.shapes, self.rest)


class CocoMasks(Format):
    """COCO's instances as a map of classes; where objects overlap, the smaller one wins."""

    name, options, suffixes = "coco_masks", Options, (".json",)

    def read(self, options: Options, base: Path) -> Dataset:
        try:
            import faster_coco_eval.core.mask as _  # noqa: PLC0415  # an extra: only COCO needs it
        except ImportError as error:
            raise DataError(_NEEDED) from error
        path = given_path(base, options.path)
        files = _files(path, options, base)
        tables = [_Table.load(file) for file, _, _ in files]
        names = _names(tables, options.background)
        listed: list[Listed] = []
        skipped: list[str] = []
        for (_, split, root), table in zip(files, tables, strict=True):
            folder = given_path(base, root) if root else table.image_folder()
            for image, found in zip(table.images, _all(table, names, folder), strict=True):
                if isinstance(found, str):
                    name = curtailed(str(image.get("file_name", image.get("id"))), LONGEST_PATH)
                    skipped.append(f"{table.path}: image {name!r}: {found}")
                else:
                    listed.append(Listed(FileImage(located(folder, str(image["file_name"]))), found, split))
        refuse(skipped, options.on_error)
        dataset = gather_masks(path.stem, listed, options, names, lambda mask: mask.digest)
        return replace(dataset, skipped=(*skipped, *dataset.skipped))


def _files(path: Path, options: Options, base: Path) -> list[tuple[Path, Split | None, str | None]]:
    """Return the annotation files, training first, each with its split and the folder named for its images."""
    given = ((options.val, Split.VAL, options.val_root), (options.test, Split.TEST, options.test_root))
    others = [(given_path(base, name), split, root or options.root) for name, split, root in given if name]
    own = coco_files.files_of(path) if path.is_dir() else [(path, None)]
    known = {split for _, split, _ in others}
    files = [(file, split, options.root) for file, split in own if split not in known]
    files = [(file, Split.TRAIN if options.val and split is None else split, root) for file, split, root in files]
    return sorted([*files, *others], key=lambda entry: entry[1] not in (None, Split.TRAIN))


@dataclass(frozen=True, slots=True)
class _Table:
    path: Path
    images: tuple[Mapping[str, Json], ...]
    objects: Mapping[Json, tuple[Mapping[str, Json], ...]]
    categories: Mapping[Json, str]

    @classmethod
    def load(cls, path: Path) -> _Table:
        """Read the file at ``path``.

        Raises:
            DataError: missing, no JSON, not in COCO's form, outlines of an image that is not listed.
        """
        data = coco_files.load(path)
        for key in coco_files.KEYS:
            if not all(isinstance(row, dict) for row in data[key]):
                raise DataError(f"{path}: expected COCO's JSON, with a list of objects under {key!r}")
        images = _by_id(data["images"], path, "an image")
        objects: dict[Json, list[Mapping[str, Json]]] = {key: [] for key in images}
        for row in data["annotations"]:
            image = _of(row, "image_id", path, "an annotation")
            if image not in objects:
                raise DataError(f"{path}: annotation {row.get('id')} is of image {image!r}, which is not listed")
            objects[image].append(row)
        named = _by_id(data["categories"], path, "a category")
        categories = {key: str(_of(row, "name", path, "a category")) for key, row in named.items()}
        return cls(path, tuple(images.values()), {key: tuple(rows) for key, rows in objects.items()}, categories)

    def image_folder(self) -> Path:
        """Return the folder of the images."""
        first = next((name for image in self.images if isinstance(name := image.get("file_name"), str)), "")
        return coco_files.image_folder(self.path, first)


def _by_id(rows: Sequence[Mapping[str, Json]], path: Path, what: str) -> dict[Json, Mapping[str, Json]]:
    entries: dict[Json, Mapping[str, Json]] = {}
    for row in rows:
        key = _of(row, "id", path, what)
        if entries.setdefault(key, row) != row:
            raise DataError(f"{path}: {what} has the id {key!r} of another one; ids must differ")
    return entries


def _of(row: Mapping[str, Json], key: str, path: Path, what: str) -> Json:
    if not isinstance(row.get(key), int | str):
        raise DataError(f"{path}: {what} has no {key!r}: {json.dumps(row)[:80]}")
    return row[key]


def _names(tables: Sequence[_Table], background: str | None) -> tuple[str, ...]:
    first = tables[0]
    for other in tables[1:]:
        if set(other.categories.values()) - set(first.categories.values()):
            strange = sorted(set(other.categories.values()) - set(first.categories.values()))
            raise DataError(f"{other.path}: the category {strange[0]!r} is not among those of {first.path}")
    names = tuple(dict.fromkeys(first.categories.values()))
    if background is not None and background in names:
        raise DataError(f"{first.path}: a category is called {background!r} already; set `background:` to another name")
    names = names if background is None else (background, *names)
    if len(names) < 2:
        raise DataError(f"{first.path}: segmentation needs at least two classes, got {', '.join(names) or 'none'}")
    return names


def _all(table: _Table, names: tuple[str, ...], folder: Path) -> list[ShapesMask | str]:
    return in_parallel(partial(_read, table, names, folder), table.images)


def _read(table: _Table, names: tuple[str, ...], folder: Path, image: Mapping[str, Json]) -> ShapesMask | str:
    """Return the objects of an image, or what is wrong with them."""
    width, height, file = image.get("width"), image.get("height"), image.get("file_name")
    if not (isinstance(file, str) and isinstance(width, int) and isinstance(height, int) and min(width, height) > 0):
        return "needs file_name, width and height"
    place = located(folder, file)
    if not is_there(place):
        return f"there is no file {curtailed(str(place), LONGEST_PATH)}"
    size = size_of(place)
    if size is not None and size != (width, height):
        return f"the file is {size[0]}x{size[1]} pixels, the table says {width}x{height}"
    by_area: list[tuple[int, Shape]] = []
    for row in table.objects[image["id"]]:
        if not isinstance(row.get("category_id"), int | str) or row["category_id"] not in table.categories:
            return f"annotation {row.get('id')}: unknown category {row.get('category_id')!r}"
        counts, area, fault = _encoded(row.get("segmentation"), width, height)
        if fault:
            return f"annotation {row.get('id')}: {fault}"
        by_area.append((area, Shape(names.index(table.categories[row["category_id"]]), counts)))
    shapes = tuple(shape for _, shape in sorted(by_area, key=lambda pair: -pair[0]))
    rest = VOID if names[0] in table.categories.values() else 0
    there, numbers = np.unique(_paint(width, height, shapes, rest), return_counts=True)
    pixels = tuple((int(label), int(n)) for label, n in zip(there, numbers, strict=True) if label != VOID)
    digest = hashlib.sha256(repr((width, height, shapes, rest)).encode()).hexdigest()
    return ShapesMask(width, height, shapes, rest, pixels, digest)


def _encoded(given: Json, width: int, height: int) -> tuple[bytes, int, str]:
    """Return an outline in compressed run lengths with its area, and what is wrong with it."""
    from faster_coco_eval.core import mask as coco  # noqa: PLC0415

    if isinstance(given, list):
        fault = _polygon_fault(given)
        if fault:
            return b"", 0, fault
        parts = coco.frPyObjects([[float(number) for number in part] for part in given], height, width)
        one = coco.merge(parts)
    elif isinstance(given, dict) and given.get("size") == [height, width] and given.get("counts"):
        if not _are_counts(given["counts"]):
            return b"", 0, "run lengths must be whole numbers from 0 on, or text as COCO packs them"
        try:
            one = coco.frPyObjects(given, height, width) if isinstance(given["counts"], list) else dict(given)
            one["counts"] = one["counts"].encode() if isinstance(one["counts"], str) else one["counts"]
            if isinstance(given["counts"], list) and sum(given["counts"]) != width * height:
                return b"", 0, f"run lengths of {sum(given['counts'])} pixels for an image of {width * height}"
            coco.decode(one)  # only this reads them to the end
        except (ValueError, TypeError) as error:
            return b"", 0, f"run lengths that cannot be read ({error})"
    else:
        return b"", 0, f"segmentation must be polygons, or run lengths of size [{height}, {width}]"
    area = int(coco.area(one))
    return one["counts"], area, "" if area > 0 else "an outline without a pixel inside the image"


def _are_counts(given: Json) -> bool:
    """Return whether faster-coco-eval accepts the form of the run lengths; others make it raise RuntimeError."""
    if isinstance(given, list):
        return all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in given)
    return isinstance(given, str)


def _polygon_fault(given: Sequence[Json]) -> str:
    if not given:
        return "segmentation is empty"
    for part in given:
        if not isinstance(part, list) or len(part) < 6 or len(part) % 2:
            return "a polygon must be a list of x, y of at least three points"
        if not all(isinstance(number, int | float) and math.isfinite(number) for number in part):
            return "a polygon must be made of finite numbers"
    return ""


def _paint(width: int, height: int, shapes: Sequence[Shape], rest: int) -> Classes:
    from faster_coco_eval.core import mask as coco  # noqa: PLC0415

    classes = np.full((height, width), rest, dtype=np.int32)
    for shape in shapes:
        classes[coco.decode({"size": [height, width], "counts": shape.counts}).astype(bool)] = shape.label
    return classes


format = CocoMasks()  # noqa: A001  # the room's word for its plug-in
