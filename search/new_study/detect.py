"""Which task and format data on disk are for, judged by file names and the content of a few files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from search.data import conll_files, tabular, text_tables
from search.data.images import EXTENSIONS
from search.errors import DataError, UserError
from search.records.study import Json

_IMAGE_COLUMNS = ("path", "image", "image_path", "file", "file_name", "filename", "filepath", "img")
_CONLL = (*conll_files.SUFFIXES, ".txt")
_MASK_FOLDERS = (
    *(("images", "masks"), ("images", "labels"), ("images", "annotations")),
    ("JPEGImages", "SegmentationClass"),
)
_OF_TEXTS = (("text", "text_table"), ("text_multilabel", "text_labels"), ("text_regression", "text_numbers"))
_OF_IMAGES = (("classification", "csv"), ("multilabel", "csv_labels"), ("regression", "csv_numbers"))
"""Task and format of a table with one label a row, with several, and with numbers."""
_NOT_CLASSES = {name.lower() for pair in _MASK_FOLDERS for name in pair} | {"imagesets", "segmentationobject"}
_LOOKED_AT = 200
"""Files of a folder, or rows of a table, that are looked at."""
_TAGS = ("B-", "I-", "S-", "E-", "L-", "U-")
KINDS = (
    "a folder per class, images beside masks, COCO JSON, Pascal VOC XML, YOLO text files, a table of images or texts "
    "(csv, tsv, jsonl), or CoNLL"
)


@dataclass(frozen=True, slots=True)
class Recognised:
    """What data are for.

    Attributes:
        task, format: names of the registries.
        why: what was seen, for people: ``Annotations/*.xml``.
        options: of the format, where they are not what it takes by default.
    """

    task: str
    format: str
    why: str
    options: dict[str, Json] = field(default_factory=dict)


def recognise(path: Path, task: str | None = None) -> Recognised:
    """Return what the data at ``path`` are for; with ``task`` of that task alone.

    Raises:
        UserError: they are nothing that is known, or may be two things; says what to do.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist; name the folder or the table with the data")
    recognised = _recognised(path)
    fitting = [one for one in recognised if task in (None, one.task)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        tasks = dict.fromkeys(one.task for one in fitting)
        seen = " and ".join(f"{one.why} ({one.task}, format {one.format})" for one in fitting)
        if len(tasks) > 1:
            raise UserError(f"{path} may be two things: {seen}; say which with --task {' or --task '.join(tasks)}")
        raise UserError(f"{path} holds the same kind of data twice: {seen}; name the folder or file of one of them")
    if recognised:
        seen = ", ".join(f"{one.why} ({one.task})" for one in recognised)
        other = recognised[0].task
        raise UserError(f"{path} holds no data that are known for the task {task}, but {seen}; try --task {other}")
    raise UserError(f"{path} holds no data of a known kind; expected {KINDS}{_columns_seen(path)}")


def _columns_seen(path: Path) -> str:
    """Return which columns a table has, and which ones are looked for; of a folder, which tables are in it.

    Raises:
        DataError: the table cannot be read.
    """
    if path.is_dir():
        tables = [file.name for file in sorted(path.iterdir()) if file.suffix.lower() in text_tables.SUFFIXES]
        shown = ", ".join(tables[:4]) + (" ..." if len(tables) > 4 else "")
        return f"; there are tables in it ({shown}): name one of them, as {path / tables[0]}" if tables else ""
    if not path.is_file() or path.suffix.lower() not in (".csv", ".tsv"):
        return ""
    columns, _ = tabular.read_rows(path, ())
    hint = tabular.separated_otherwise(path, columns)
    kinds = (("images", _IMAGE_COLUMNS), ("texts", text_tables.TEXT_NAMES), ("labels", text_tables.LABEL_NAMES))
    known = ", ".join(f"of {what} ({', '.join(names[:3])} ...)" for what, names in kinds)
    return f"; the header has {', '.join(columns) or 'nothing'}{hint}; known are columns {known}"


def _recognised(path: Path) -> list[Recognised]:
    if path.is_file():
        return _file(path)
    boxes = [*_coco(path), *_voc(path), *_yolo(path)]
    masks = _masks(path)
    texts = _texts(path)
    classes = [] if boxes or masks or texts else _class_folders(path)
    return [*boxes, *masks, *texts, *classes]


def _file(path: Path) -> list[Recognised]:
    suffix = path.suffix.lower()
    if suffix in EXTENSIONS:
        raise UserError(f"{path} is a single image; name the folder with all of them")
    if suffix == ".json" and (recognised := _coco_file(path)):
        return recognised
    if suffix in text_tables.SUFFIXES:
        return _table(path)
    return _tagged(path) if suffix in _CONLL else []


def _coco(folder: Path) -> list[Recognised]:
    files = sorted({*folder.glob("*.json"), *folder.glob("annotations/*.json"), *folder.glob("*/*.json")})
    recognised = [one for file in files[:_LOOKED_AT] for one in _coco_file(file)]
    return list({one.task: one for one in reversed(recognised)}.values())[::-1]


def _coco_file(file: Path) -> list[Recognised]:
    """Return what a COCO JSON may teach: boxes, and masks where it has outlines."""
    try:
        data: Any = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return []  # the format says so if it is chosen; here it is only no COCO JSON
    if not isinstance(data, dict) or not all(
        isinstance(data.get(key), list) for key in ("images", "annotations", "categories")
    ):
        return []
    annotations = [one for one in data["annotations"][:_LOOKED_AT] if isinstance(one, dict)]
    recognised = []
    if any("bbox" in one for one in annotations):
        recognised.append(Recognised("detection", "coco", f"COCO boxes in {file.name}"))
    if any(one.get("segmentation") for one in annotations):
        recognised.append(Recognised("segmentation", "coco_masks", f"COCO outlines in {file.name}"))
    return recognised


def _voc(folder: Path) -> list[Recognised]:
    for place in (folder / "Annotations", folder / "train", folder):
        for file in islice(place.glob("*.xml"), 1):
            if "<object>" in _head(file) or "<annotation" in _head(file):
                return [Recognised("detection", "voc", f"{file.relative_to(folder).parent / '*.xml'}")]
    return []


def _yolo(folder: Path) -> list[Recognised]:
    for file in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
        lines = _head(file).splitlines()
        if all(any(line.startswith(f"{key}:") for line in lines) for key in ("train", "names")):
            return [Recognised("detection", "yolo", f"a YOLO description, {file.name}")]
    if (folder / "labels").is_dir():
        for file in islice((folder / "labels").rglob("*.txt"), _LOOKED_AT):
            words = _head(file).split("\n")[0].split()
            if len(words) >= 5 and _are_numbers(words):
                return [Recognised("detection", "yolo", "labels/*.txt with numbers")]
    return []


def _masks(folder: Path) -> list[Recognised]:
    for images, masks in _MASK_FOLDERS:
        for root in (folder, folder / "train", folder / "training"):
            places = [(root / images, root / masks), (folder / images / root.name, folder / masks / root.name)]
            if any(_has_images(one) and _has_images(other, (".png", ".tif", ".tiff", ".bmp")) for one, other in places):
                named: dict[str, Json] = {"images": images, "masks": masks}
                plain = (images, masks) == _MASK_FOLDERS[0]
                why = f"{images}/ beside {masks}/"
                return [Recognised("segmentation", "mask_folder", why, {} if plain else named)]
    return []


def _class_folders(folder: Path) -> list[Recognised]:
    folders = [entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
    train = [entry for entry in folders if tabular.SPLITS.get(entry.name.lower()) == "train"]
    inside = [entry for entry in (train[0].iterdir() if train else folders) if entry.is_dir()]
    classes = [entry for entry in inside if entry.name.lower() not in _NOT_CLASSES and _has_images(entry)]
    return [Recognised("classification", "image_folder", f"{len(classes)} class folders")] if len(classes) > 1 else []


def _texts(folder: Path) -> list[Recognised]:
    """Return what tables in the folder are for: a file a part of the data, or a single one."""
    files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() in (*text_tables.SUFFIXES, *_CONLL)]
    parts = [file for file in files if tabular.SPLITS.get(file.stem.lower()) == "train"]
    for file in parts or files[:1]:
        if (recognised := _file(file)) and (parts or len(files) == 1):
            return [one for one in recognised if one.task in ("text", "text_multilabel", "text_regression", "tokens")]
    return []


def _table(path: Path) -> list[Recognised]:
    """Return what a table is for: its columns say whether it is of images or texts, its labels the task."""
    try:
        columns, rows = _rows(path)
    except DataError:
        return []
    label = tabular.column_of(columns, text_tables.LABEL_NAMES)
    text = tabular.column_of(columns, text_tables.TEXT_NAMES)
    image = tabular.column_of(columns, _IMAGE_COLUMNS) if text is None else None
    column = text or image
    if image is not None and label is None:
        return _numbers(path, image, [name for name in columns if name not in (image, "split")], rows)
    if column is None or label is None:
        return []
    values = [row.get(label, "") for row in rows]
    kind = 2 if _are_measures(values) else 1 if any(";" in value for value in values) else 0
    task, format_ = (_OF_TEXTS if text else _OF_IMAGES)[kind]
    options: dict[str, Json] = {}
    if image and image != "path":
        options["path_column"] = image
    if task == "regression":
        options["target_columns"] = [label]
    elif image and label != ("labels" if task == "multilabel" else "label"):
        options["label_column"] = label
    what = ("a label", "labels", "numbers")[kind]
    return [Recognised(task, format_, f"{path.name} with a column {column!r} and {what} in {label!r}", options)]


def _numbers(path: Path, image: str, columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> list[Recognised]:
    """Return the task of a table of images whose other columns are named after labels or numbers."""
    values = [row.get(column, "") for column in columns for row in rows]
    if not values or not all(values) or not _are_numbers(values):
        return []
    options: dict[str, Json] = {} if image == "path" else {"path_column": image}
    shown = ", ".join(map(repr, columns[:4])) + (" ..." if len(columns) > 4 else "")
    if len(columns) > 1 and set(values) <= {"0", "1"}:
        why = f"{path.name} with a column {image!r} and 1 or 0 in {shown}"
        return [Recognised("multilabel", "csv_labels", why, options | {"label_columns": list(columns)})]
    why = f"{path.name} with a column {image!r} and numbers in {shown}"
    return [Recognised("regression", "csv_numbers", why, options | {"target_columns": list(columns)})]


def _tagged(path: Path) -> list[Recognised]:
    """Return whether a file has a word and a tag a line, and empty lines between sentences."""
    lines = [line for line in _head(path).splitlines() if line.strip() and not line.startswith(conll_files.DOCUMENT)]
    words = [line.split() for line in lines[:_LOOKED_AT]]
    if not words or not all(len(line) > 1 for line in words if not line[0].startswith("#")):
        return []
    tags = [line[-1] for line in words]
    if any(tag.startswith(_TAGS) for tag in tags) and all(tag == "O" or tag.startswith(_TAGS) for tag in tags):
        return [Recognised("tokens", "conll", f"words with tags in {path.name}")]
    return []


def _rows(path: Path) -> tuple[Sequence[str], list[dict[str, str]]]:
    """Return the columns of a table and its first rows."""
    if path.suffix.lower() in (".csv", ".tsv"):
        columns, rows = tabular.read_rows(path, ())
        return columns, [row.values for row in islice(rows, _LOOKED_AT)]
    entries = list(_objects(path))
    return list(dict.fromkeys(chain.from_iterable(entries))), entries


def _objects(path: Path) -> Iterator[dict[str, str]]:
    """Yield the first objects of a JSON list, or of a file with one a line; lists of labels parted by semicolons."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        entries = json.loads(text) if text.lstrip().startswith("[") else map(json.loads, text.splitlines())
        for entry in islice(entries, _LOOKED_AT):
            if isinstance(entry, dict):
                yield {
                    str(key): ";".join(map(str, value)) + ";" if isinstance(value, list) else str(value)
                    for key, value in entry.items()
                }
    except (ValueError, RecursionError):
        return  # no JSON, or no text at all: nothing is known of it


def _are_measures(values: Sequence[str]) -> bool:
    """Return whether values are numbers of which some are broken: whole ones are taken for names of classes."""
    given = [value for value in values if value]
    return bool(given) and _are_numbers(given) and any(not float(value).is_integer() for value in given)


def _are_numbers(words: Sequence[str]) -> bool:
    try:
        return all(float(word) == float(word) for word in words)
    except ValueError:
        return False


def _has_images(folder: Path, suffixes: Sequence[str] = tuple(EXTENSIONS)) -> bool:
    files = islice(folder.rglob("*"), _LOOKED_AT) if folder.is_dir() else ()
    return any(file.suffix.lower() in suffixes for file in files)


def _head(file: Path) -> str:
    with file.open(encoding="utf-8-sig", errors="replace") as opened:
        return opened.read(20_000)
