"""Labelled image data sets that torchvision knows by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image
from torchvision import datasets

from search.data import splits
from search.data.assembly import Listed, assemble
from search.data.formats._base import Format
from search.data.given_paths import given_path
from search.data.images import StoredImage
from search.data.sample import Dataset, Split
from search.data.split_options import SplitOptions
from search.errors import DataError
from spaces.errors import first_line


@dataclass(frozen=True, slots=True)
class Options(SplitOptions):
    """A data set of ``torchvision.datasets``.

    Attributes:
        dataset: its class there, ``CIFAR10``, ``Flowers102``, ``OxfordIIITPet`` ...
        root: folder that holds it; ``download`` fetches it there.
        limit: most images to take from each split, stratified by class and drawn with ``seed``; all by default.
    """

    dataset: str
    root: str = "data"
    download: bool = False
    limit: int | None = None


class Torchvision(Format):
    """Its own splits if it has them; a validation split is taken from training if it has none."""

    name, options = "torchvision", Options

    def read(self, options: Options, base: Path) -> Dataset:
        kind = getattr(datasets, options.dataset, None)
        if not (inspect.isclass(kind) and issubclass(kind, datasets.VisionDataset)):
            raise DataError(
                f"torchvision has no data set {options.dataset!r}; names are as in torchvision.datasets, CIFAR10"
            )
        root = given_path(base, options.root)
        listed: list[Listed] = []
        classes: list[str] | None = None
        for split, arguments in _parts(kind):
            opened = _open(kind, root, options, arguments)
            classes = classes or [str(name) for name in getattr(opened, "classes", None) or []] or None
            fetch = partial(_image, opened)
            labels = [_label(opened, index) for index in range(len(opened))]
            texts = [classes[label] if classes and label < len(classes) else str(label) for label in labels]
            places = list(range(len(texts)))
            if options.limit is not None:
                places = splits.draw([(text,) for text in texts], options.limit, options.seed)
            source = f"{options.dataset}.{split or 'all'}"
            listed += [Listed(StoredImage(source, index, fetch), texts[index], split) for index in places]
        used = {item.label for item in listed}
        order = [name for name in classes if name in used] if classes else None
        return assemble(options.dataset, listed, options, classes=order)


Part = tuple[Split | None, dict[str, object]]


def _parts(kind: Callable[..., Any]) -> list[Part]:
    parameters = inspect.signature(kind).parameters
    train: Part = (Split.TRAIN, {"split": "train"})
    val: Part = (Split.VAL, {"split": "val"})
    test: Part = (Split.TEST, {"split": "test"})
    if "train" in parameters:
        return [(Split.TRAIN, {"train": True}), (Split.TEST, {"train": False})]
    if "split" in parameters:
        default = str(parameters["split"].default)
        if default == "trainval":
            return [(Split.TRAIN, {"split": "trainval"}), test]
        return [train, val, test] if "val" in (kind.__doc__ or "") else [train, test]
    return [(None, {})]


def _open(kind: Callable[..., Any], root: Path, options: Options, arguments: dict[str, object]) -> Any:
    parameters = inspect.signature(kind).parameters
    extra: dict[str, object] = {"download": options.download} if "download" in parameters else {}
    if "root" in parameters:
        extra["root"] = str(root)
    try:
        return kind(**arguments, **extra)
    except (RuntimeError, OSError, ValueError, TypeError) as error:
        reason = first_line(error)
        hint = "" if options.download else "; set `data.download: true` or put it there"
        raise DataError(f"cannot open torchvision's {options.dataset} in {root}: {reason}{hint}") from error


def _image(opened: Any, index: int) -> Image.Image:
    image: Image.Image = opened[index][0]
    return image


def _label(opened: Any, index: int) -> int:
    for name in ("targets", "_labels", "labels", "y"):
        labels = getattr(opened, name, None)
        if labels is not None and len(labels) == len(opened):
            return int(labels[index])
    return int(opened[index][1])


format = Torchvision()  # noqa: A001  # the room's word for its plug-in
