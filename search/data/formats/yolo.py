"""Boxes in YOLO text files, one an image, as Ultralytics lays them out (https://docs.ultralytics.com/datasets/detect/)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml

from search.data.assembly import Cut, OnError
from search.data.boxes import Drawn, Faults, Found, dataset
from search.data.formats._base import Format
from search.data.images import EXTENSIONS
from search.data.sample import Dataset, Split
from search.data.tabular import SPLITS, lines_of
from search.errors import DataError


@dataclass(frozen=True, slots=True)
class Options:
    """A data set as ``data.yaml`` describes it.

    Attributes:
        path: ``data.yaml``, or its folder. Without one a folder with ``images/`` and ``labels/`` (in them
            ``train/``, ``val/`` and ``test/``, or not) and the class names in ``classes.txt``.
        classes: names of the classes in order; those of ``data.yaml`` or ``classes.txt`` by default.
        val_share, test_share, seed: of the cut when no split is given.
        on_error: ``refuse`` faulty boxes and broken images, or ``skip`` and list them.
    """

    path: str
    classes: tuple[str, ...] = ()
    val_share: float = 0.2
    test_share: float = 0.0
    seed: int = 0
    on_error: OnError = "refuse"
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        Cut(self.val_share, self.test_share, self.seed)


class Yolo(Format):
    """``class x y width height`` a line, centre and size in shares of the image; polygons count by their box."""

    name, options, suffixes = "yolo", Options, (".yaml", ".yml")

    def read(self, options: Options, base: Path) -> Dataset:
        path = base / Path(options.path).expanduser()
        if not path.exists():
            raise DataError(f"{path} does not exist; `data.path` is relative to the study file")
        file = path if path.is_file() else next((f for f in _described(path) if f.is_file()), None)
        root = path.parent if path.is_file() else path
        names, parts = _from_yaml(file) if file is not None else _from_folders(root)
        names = options.classes or names
        if not names:
            raise DataError(f"{root}: no class names; expected data.yaml with `names`, classes.txt, or `data.classes`")
        faults = Faults(root.name)
        images: list[tuple[Path, Split | None]] = [
            (image, split) for split, folders in parts.items() for image in _images(folders)
        ]
        for split, folders in parts.items():
            if split is not Split.TEST and not any(part is split for _, part in images):
                raise DataError(f"{root}: no {split} image in {', '.join(map(str, folders))}; put some there")
        if Split.VAL not in parts:
            images = [(image, None if split is Split.TRAIN else split) for image, split in images]
        found = [
            Found(image, str(label), split, _boxes(label, names, faults), in_shares=True)
            for image, split in images
            for label in (_label(image),)
        ]
        cut = Cut(options.val_share, options.test_share, options.seed)
        return dataset(root.name, found, cut, options.on_error, names, faults)


def _described(folder: Path) -> list[Path]:
    return [folder / "data.yaml", folder / "data.yml", folder / "dataset.yaml", *sorted(folder.glob("*.yaml"))]


def _from_yaml(file: Path) -> tuple[tuple[str, ...], dict[Split, list[Path]]]:
    """Return class names, and folders or lists of images by split."""
    try:
        data: Any = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{file}: not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(data, dict) or not data.get("train"):
        raise DataError(f"{file}: needs `train:` with a folder of images, and `names:` with the classes")
    names = data.get("names", ())
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            raise DataError(f"{file}: the keys of `names` must be 0 to {len(names) - 1}, got {list(names)}")
        names = [names[place] for place in range(len(names))]
    if not isinstance(names, list | tuple):
        raise DataError(f"{file}: `names` must be a list of class names, got {names!r}")
    if len(set(map(str, names))) < len(names):
        raise DataError(f"{file}: a class stands twice under `names`, {names!r}; rename one of them")
    base = file.parent / str(data["path"]) if data.get("path") else file.parent
    parts: dict[Split, list[Path]] = {}
    for key, split in SPLITS.items():
        given = data.get(key)
        if given:
            listed = given if isinstance(given, list) else [given]
            parts.setdefault(split, []).extend(_place(file, base, str(name)) for name in listed)
    return tuple(str(name) for name in names), parts


def _place(file: Path, base: Path, name: str) -> Path:
    """Return what an entry of ``data.yaml`` names; many are written one folder too high (``../train/images``)."""
    for root in (base, file.parent):
        for text in (name, name.removeprefix("../")):
            if (root / text).exists():
                return root / text
    raise DataError(f"{file}: {base / name} does not exist; paths start at `path:`, or at the file's own folder")


def _from_folders(root: Path) -> tuple[tuple[str, ...], dict[Split, list[Path]]]:
    listed = root / "classes.txt"
    names = tuple(lines_of(listed)) if listed.is_file() else ()
    images = root / "images" if (root / "images").is_dir() else root
    parts: dict[Split, list[Path]] = {}
    for folder in sorted(entry for entry in images.iterdir() if entry.is_dir()):
        split = SPLITS.get(folder.name.lower())
        if split is not None:
            parts.setdefault(split, []).append(folder)
    return names, parts if Split.TRAIN in parts else {Split.TRAIN: [images]}


def _images(folders: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for entry in folders:
        if entry.is_dir():
            files = (file for file in entry.rglob("*") if file.suffix.lower() in EXTENSIONS)
            found += sorted(file for file in files if not file.name.startswith("."))
        else:
            found += [entry.parent / line for line in lines_of(entry)]
    return found


def _label(image: Path) -> Path:
    """Return the text file of an image: in ``labels`` in place of the last ``images`` of its path, else beside it."""
    parts = list(image.parts)
    places = [place for place, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    return Path(*parts).with_suffix(".txt")


def _boxes(label: Path, names: Sequence[str], faults: Faults) -> list[Drawn]:
    """Return the boxes of one image; an image without a text file, or with an empty one, is background."""
    if not label.is_file():
        return []
    try:
        lines = label.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        faults.add(f"{label}: cannot be read: {error}")
        return []
    made = (_box(f"{label}, line {place}", line, names, faults) for place, line in enumerate(lines, 1) if line.strip())
    return [box for box in made if box is not None]


def _box(place: str, line: str, names: Sequence[str], faults: Faults) -> Drawn | None:
    """Return the box of a line, corners in shares of the image."""
    words = line.split()
    try:
        number, numbers = int(words[0]), [float(word) for word in words[1:]]
    except ValueError:
        faults.add(f"{place}: expected `class x y width height` in numbers, got {line.strip()!r}")
        return None
    label = names[number] if 0 <= number < len(names) else f"number {number}"
    if len(numbers) == 4:
        x, y, width, height = numbers
        return Drawn(place, label, (x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    if len(numbers) >= 6 and len(numbers) % 2 == 0:
        return Drawn(place, label, (min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])))
    faults.add(f"{place}: expected `class x y width height`, or a polygon, got {len(words)} numbers")
    return None


format = Yolo()  # noqa: A001  # the room's word for its plug-in
