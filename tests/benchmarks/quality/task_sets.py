"""Sets of texts, masks and boxes: a part to learn from, and test data that a contender never gets to see."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

ASIDE = 5
"""Where a set has no test part, every so many-th training sample is set aside as one."""
_DRAW = 0


@dataclass(frozen=True)
class TaskSet:
    """``learn`` is what ``ftsearch init`` gets, ``test`` what ``ftsearch predict`` gets, ``truth`` what is right."""

    learn: Path
    test: Path
    truth: Path


def prepared(task: str, data: Path, folder: Path, samples: int | None = None) -> TaskSet:
    """Return the set ``data``, laid out in ``folder`` as links and tables.

    Args:
        samples: so many of the training samples, and a third as many for validation, the same ones for all; None: all.

    Raises:
        ValueError: data of a task are not laid out as this program expects them.
    """
    return {"text": _texts, "segmentation": _masks, "detection": _boxes}[task](data, folder, samples)


def _drawn(names: list[str], count: int | None) -> list[str]:
    """Return ``count`` of ``names``, drawn once for all."""
    if count is None or count >= len(names):
        return names
    return random.Random(_DRAW).sample(names, count)


def _parts(parts: dict[str, list[str]], samples: int | None) -> dict[str, list[str]]:
    """Return training, validation and test parts, the last one set aside if there is none."""
    train, test = parts["train"], parts.get("test", [])
    if not test:
        test = train[::ASIDE]
        train = [name for place, name in enumerate(train) if place % ASIDE]
    few = None if samples is None else max(samples // 3, 1)
    return {"train": _drawn(train, samples), "val": _drawn(parts.get("val", []), few), "test": test}


def _texts(data: Path, folder: Path, samples: int | None) -> TaskSet:
    """Tables ``train.tsv``, ``dev.tsv`` and ``test.tsv`` with a header."""
    tables = {part: data / f"{name}.tsv" for part, name in (("train", "train"), ("val", "dev"), ("test", "test"))}
    if not tables["train"].exists():
        raise ValueError(f"{data} has no train.tsv")
    rows = {part: path.read_text("utf-8").splitlines() for part, path in tables.items() if path.exists()}
    header = rows["train"][0]
    parts = _parts({part: lines[1:] for part, lines in rows.items()}, samples)
    learn, test = folder / "learn", folder / "test.tsv"
    learn.mkdir(parents=True)
    for part, place in (("train", learn / "train.tsv"), ("val", learn / "dev.tsv"), ("test", test)):
        if parts[part]:
            place.write_text("\n".join([header, *parts[part]]) + "\n", "utf-8")
    return TaskSet(learn, test, test)


def _masks(data: Path, folder: Path, samples: int | None) -> TaskSet:
    """Folders ``train``, ``val`` and ``test``, each with ``images`` and ``masks``."""
    found = {
        part: sorted(f"{part}/images/{path.name}" for path in (data / part / "images").iterdir())
        for part in ("train", "val", "test")
        if (data / part / "images").is_dir()
    }
    if not found.get("train"):
        raise ValueError(f"{data} has no images in train/images")
    masks = {
        f"{path.parent.parent.name}/images/{path.stem}": path for path in sorted(data.glob("*/masks/*")) if path.stem
    }
    for part, names in _parts(found, samples).items():
        root = folder / ("test" if part == "test" else f"learn/{part}")
        for name in names:
            _link(data / name, root / "images")
            _link(masks[name.rpartition(".")[0]], root / "masks")
    return TaskSet(folder / "learn", folder / "test/images", folder / "test/masks")


def _boxes(data: Path, folder: Path, samples: int | None) -> TaskSet:
    """Pascal VOC: ``JPEGImages``, ``Annotations`` and lists in ``ImageSets/Main``."""
    lists = {part: data / "ImageSets/Main" / f"{part}.txt" for part in ("train", "val", "test")}
    if not lists["train"].exists():
        raise ValueError(f"{data} has no ImageSets/Main/train.txt")
    found = {part: path.read_text().split() for part, path in lists.items() if path.exists()}
    for part, names in _parts(found, samples).items():
        root = folder / ("test" if part == "test" else "learn")
        for name in names:
            _link(data / f"JPEGImages/{name}.jpg", root / "JPEGImages")
            _link(data / f"Annotations/{name}.xml", root / "Annotations")
        if part != "test":
            (root / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
            (root / f"ImageSets/Main/{part}.txt").write_text("\n".join(names) + "\n")
    return TaskSet(folder / "learn", folder / "test/JPEGImages", folder / "test/Annotations")


def _link(file: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file.name).symlink_to(file.absolute())
