"""Detects task and format of data on disk, from file names and the content of a few files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from search.data import coco_files, tabular, text_tables
from search.data.class_folders import folders_in
from search.data.files import visible
from search.data.images import EXTENSIONS
from search.errors import DataError, UserError
from search.new_study import image_layouts, table_layouts
from search.new_study.recognised import Recognised
from search.new_study.table_layouts import has_rows
from search.records.plain_text import printable

_DEEPEST, _MOST_FOLDERS = 2, 20
"""How many outer folders of an archive are descended into."""
_SHOWN = 4
KINDS = (
    "a folder per class, images beside masks, COCO JSON, Pascal VOC XML, YOLO text files, a table of images or texts "
    "(csv, tsv, jsonl), or CoNLL"
)
_CONVERTED = {
    "an archive: unpack it, and name the folder": (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"),
    "a spreadsheet: save it as CSV": (".xlsx", ".xls", ".ods", ".numbers"),
    "an image of another kind: save it as JPEG or PNG": (
        ".heic",
        ".heif",
        ".avif",
        ".dcm",
        ".svg",
        ".raw",
        ".cr2",
        ".nef",
    ),
    "Parquet: name its folder as `dataset` of the format hf_text, or save it as CSV": (".parquet", ".arrow"),
}
"""What to do with files of these endings."""


def recognise(path: Path, task: str | None = None) -> Recognised:
    """Return task and format of the data at ``path``; with ``task``, only that task is considered.

    If ``path`` contains nothing but a folder with the data, as archives do, that folder is examined.

    Raises:
        UserError: the data are of no known kind, or ambiguous; the message says what to do.
    """
    if not path.is_file() and not path.is_dir():
        what = "is neither a file nor a folder" if path.exists() else "does not exist"
        raise UserError(f"{path} {what}; name the folder or the table with the data")
    recognised = _recognised(path) or _inside(path, _DEEPEST)
    fitting = [one for one in recognised if task in (None, one.task)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        tasks = dict.fromkeys(one.task for one in fitting)
        seen = " and ".join(f"{_why(one, path)} ({one.task}, format {one.format})" for one in fitting)
        if len({one.path for one in fitting}) > 1:
            raise UserError(f"{path} holds data several times: {seen}; name the folder or file of one of them")
        if len(tasks) > 1:
            raise UserError(f"{path} may be two things: {seen}; say which with --task {' or --task '.join(tasks)}")
        raise UserError(f"{path} holds the same kind of data twice: {seen}; name the folder or file of one of them")
    if recognised:
        seen = ", ".join(f"{_why(one, path)} ({one.task})" for one in recognised)
        other = recognised[0].task
        raise UserError(f"{path} holds no data that are known for the task {task}, but {seen}; try --task {other}")
    raise UserError(f"{path} holds no data of a known kind; expected {KINDS}{_seen(path)}")


def _recognised(path: Path) -> list[Recognised]:
    if path.is_file():
        return _file(path)
    images = image_layouts.of_folder(path)
    if any(one.format != "image_folder" for one in images):
        return images
    tables = table_layouts.of_folder(path)
    # Class folders with a table of the same images beside them are the plainer of the two.
    return tables if not images or any(one.task.startswith(("text", "tokens")) for one in tables) else images


def _file(path: Path) -> list[Recognised]:
    suffix = path.suffix.lower()
    if suffix in EXTENSIONS:
        raise UserError(f"{path} is a single image; name the folder with all of them")
    if suffix == ".json" and (recognised := image_layouts.of_coco_file(path)):
        return recognised
    if suffix in (".yaml", ".yml") and (recognised := image_layouts.of_folder(path.parent)):
        return [replace(one, path=path) for one in recognised if one.format == "yolo"]
    return table_layouts.of_file(path)


def _inside(folder: Path, deepest: int) -> list[Recognised]:
    """Return what is found in the folders of ``folder``, in the first depth with any."""
    inner = folders_in(folder)[:_MOST_FOLDERS] if folder.is_dir() and deepest else []
    recognised = [one for place in inner for one in _recognised(place)]
    return recognised or [one for place in inner for one in _inside(place, deepest - 1)]


def _why(recognised: Recognised, path: Path) -> str:
    """Return what was seen, with the folder in ``path`` in which it was."""
    inside = recognised.path.parent if recognised.path.is_file() else recognised.path
    return recognised.why if inside in (path, path.parent) else f"{inside.relative_to(path)}: {recognised.why}"


def _seen(path: Path) -> str:
    """Return what is there instead of data of a known kind, and what to do with it.

    Raises:
        DataError: a table cannot be read.
    """
    if path.is_file():
        return _converted([path]) or _columns_seen(path)
    files = [file for file in visible(path, "*", "*/*", "*/*/*") if file.is_file()]
    own = [file for file in files if file.parent == path]
    if hint := _tables_seen(path) or next((hint for file in own if (hint := _no_table(file))), ""):
        return hint
    endings = Counter(file.suffix.lower() or "without ending" for file in files)
    counted = ", ".join(f"{count} {ending}" for ending, count in endings.most_common(_SHOWN))
    if not counted:
        return "; it is empty"
    images = sum(endings[ending] for ending in EXTENSIONS)
    advice = ""
    if 2 * endings[".txt"] > endings.total():
        advice = "; texts in files of their own are not read: put them into a table with the columns text and label"
    elif 2 * images > endings.total():
        advice = "; nothing says what they show: sort them into a folder per class, two at least, or add a table"
    return _converted(files) or f"; it holds {printable(counted)}{advice}"


def _tables_seen(path: Path) -> str:
    """Return what is wrong with the only table in a folder, or which of several to name; empty without a table.

    Raises:
        DataError: a table cannot be read.
    """
    tables = [file for file in table_layouts.tables_in(path) if file.suffix.lower() != ".json" or has_rows(file)]
    if len(tables) < 2:
        return _columns_seen(tables[0]) if tables else ""
    shown = ", ".join(file.name for file in tables[:_SHOWN]) + (" ..." if len(tables) > _SHOWN else "")
    if any(table_layouts.of_file(file) for file in tables):
        return f"; none of the tables in it ({shown}) is called train: name the one to learn from, as {tables[0]}"
    return f"; there are tables in it ({shown}): name one of them, as {tables[0]}{_columns_seen(tables[0])}"


def _no_table(path: Path) -> str:
    """Return why a file with a table's ending, or that looks like a table, is none that can be read."""
    return _no_coco(path) if path.suffix.lower() == ".json" else _headless(path) or table_layouts.other_form(path)


def _no_coco(path: Path) -> str:
    """Return why a JSON file is neither COCO nor a table."""
    try:
        content = coco_files.load(path)
    except DataError as error:
        return f"; {error}; as a table, it would be a list of objects, or have one per line"
    return "" if content["annotations"] else f"; {path}: the list 'annotations' is empty"


def _converted(files: Sequence[Path]) -> str:
    for advice, endings in _CONVERTED.items():
        file = next((file for file in files if file.suffix.lower() in endings), None)
        if file is not None:
            return f"; {file.name} is {advice}"
    return ""


def _headless(path: Path) -> str:
    """Return that a table seems to have no header, if so, and which one would do."""
    lines = table_layouts.lines_of(path)
    hint = tabular.no_header(lines, tabular.separator_of(path, tabular.content_of(path))) if lines else ""
    return f"; {path.name} is a table, but {hint.removeprefix('; ')}" if hint else ""


def _json_seen(path: Path) -> str:
    """Return which keys the objects of a JSON file have, or why its first line is none.

    Raises:
        DataError: it cannot be read.
    """
    lines = (line for line in tabular.content_of(path).split("\n") if line.strip())
    keys = table_layouts.keys_of(path)
    if keys:
        return f"; the objects in {path.name} have {', '.join(keys)}; {_known()}"
    try:
        json.loads(next(lines, ""))
    except (ValueError, RecursionError) as error:
        return f"; {path.name}, line 1: no valid JSON: {error}"
    return f"; {path.name} holds no objects, one of which would be a text with its label"


def _columns_seen(path: Path) -> str:
    """Return which columns a table has, and which ones are looked for; or that it seems to have no header, or is none.

    Raises:
        DataError: a table cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix == ".json" and not has_rows(path):
        return _no_coco(path)
    if suffix in table_layouts.JSON:
        return _json_seen(path)
    hint = _headless(path) or table_layouts.other_form(path)
    if hint or suffix not in tabular.SUFFIXES:
        return hint
    columns, _ = tabular.read_rows(path, ())
    hint = tabular.separated_otherwise(path, columns)
    return f"; the header of {path.name} has {', '.join(columns) or 'nothing'}{hint}; {_known()}"


def _known() -> str:
    """Return which columns are looked for."""
    kinds = (
        ("images", table_layouts.IMAGE_NAMES),
        ("texts", text_tables.TEXT_NAMES),
        ("labels", text_tables.LABEL_NAMES),
    )
    known = ", ".join(f"of {what} ({', '.join(names[:3])} ...)" for what, names in kinds)
    return f"known are columns {known}"
