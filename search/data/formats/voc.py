"""Boxes in Pascal VOC XML, one file per image (http://host.robots.ox.ac.uk/pascal/VOC/)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from search.data.boxes import AnnotatedImage, BoxAnnotation, Faults, dataset
from search.data.class_folders import folder_called
from search.data.files import Walk, visible
from search.data.formats._base import Format
from search.data.given_paths import given_path
from search.data.image_sets import listed_names
from search.data.images import EXTENSIONS, is_there
from search.data.sample import Dataset, Split
from search.data.split_names import split_of
from search.data.split_options import SplitOptions
from search.errors import DataError

_XML = (".xml",)


@dataclass(frozen=True, slots=True)
class Options(SplitOptions):
    """A folder of images and XML files.

    Attributes:
        path: with ``JPEGImages/``, ``Annotations/`` and ``ImageSets/Main/train.txt`` as in Pascal VOC, or with
            XML files beside the images or in a folder of any name (``annotations/``, ``annots/``), in ``train/``,
            ``val/`` and ``test/`` or all in one.
        classes: names that boxes may have; by default all names that occur.
        difficult: ``use`` boxes marked as difficult like any other, or ``ignore`` them in training and evaluation.
        val_share, test_share, seed: of the split made if none is given.
        on_error: ``refuse`` faulty boxes and broken images, or ``skip`` and list them.
    """

    path: str
    classes: tuple[str, ...] = ()
    difficult: Literal["use", "ignore"] = "use"


class Voc(Format):
    """One XML file per image; corners in pixels."""

    name, options = "voc", Options

    def read(self, options: Options, base: Path) -> Dataset:
        root = given_path(base, options.path)
        if not root.is_dir():
            raise DataError(f"data folder {root} does not exist; `data.path` is relative to the study file")
        faults = Faults(root.name)
        walk = Walk()
        listed = _in_sets(root, faults, walk) if _annotations(root).is_dir() else _beside(root, walk)
        images = _Images(root)
        annotated = [item for xml, split in listed if (item := _read(xml, images, split, options, faults)) is not None]
        made = dataset(root.name, annotated, options, options.classes or None, faults)
        return replace(made, notes=(*made.notes, *walk.lines()))


def _annotations(root: Path) -> Path:
    """Return the folder that VOC calls ``Annotations``, and others ``annotations``, if it holds XML files itself."""
    folder = folder_called(root, "Annotations")
    return folder if folder.name == "Annotations" or visible(folder, "*.xml") else root / "Annotations"


def _in_sets(root: Path, faults: Faults, walk: Walk) -> list[tuple[Path, Split | None]]:
    """Return the annotations that ``ImageSets/Main`` lists; all of them, without a split, if there are no lists."""
    folder = _annotations(root)
    lists = listed_names(folder_called(root, "ImageSets", "Main"), folder, ".xml")
    if not lists:
        return [(xml, None) for xml in walk.files(folder, _XML)]
    listed: list[tuple[Path, Split | None]] = []
    for split, names in lists.items():
        for name in names:
            if (folder / f"{name}.xml").is_file():
                listed.append((folder / f"{name}.xml", split))
            else:
                faults.add(f"{split}.txt lists {name}, but {folder / name}.xml does not exist")
    return listed if Split.VAL in lists else [(xml, None if split is Split.TRAIN else split) for xml, split in listed]


def _beside(root: Path, walk: Walk) -> list[tuple[Path, Split | None]]:
    parts = {folder: split_of(folder.name) for folder in walk.folders(root)}
    listed: list[tuple[Path, Split | None]] = [
        (xml, split) for folder, split in parts.items() if split for xml in walk.files(folder, _XML, EXTENSIONS)
    ]
    if not any(split is Split.TRAIN for _, split in listed):
        listed = [(xml, None) for xml in walk.files(root, _XML, EXTENSIONS)]
    elif not any(split is Split.VAL for _, split in listed):
        listed = [(xml, None if split is Split.TRAIN else split) for xml, split in listed]
    if not listed:
        raise DataError(f"{root}: no XML annotations; expected {root}/Annotations/*.xml, or XML files beside images")
    return listed


def _read(xml: Path, images: _Images, split: Split | None, options: Options, faults: Faults) -> AnnotatedImage | None:
    try:
        # Since 2.4.1 Expat neither fetches external entities nor expands without bound.
        document = ElementTree.parse(xml).getroot()  # noqa: S314
    except (ElementTree.ParseError, OSError, ValueError) as error:
        faults.add(f"{xml}: not XML: {error}")
        return None
    if document.tag != "annotation":
        faults.add(f"{xml}: begins with <{document.tag}>; expected <annotation>, as Pascal VOC has it")
        return None
    boxes = []
    for index, item in enumerate(document.findall("object"), 1):
        box = _box(f"{xml.name}, object {index}", item, options, faults)
        if box is not None:
            boxes.append(box)
    return AnnotatedImage(images.of(xml, document.findtext("filename") or ""), str(xml), split, boxes)


def _box(place: str, item: ElementTree.Element, options: Options, faults: Faults) -> BoxAnnotation | None:
    label = (item.findtext("name") or "").strip()
    try:
        left, top, right, bottom = (
            float(item.findtext(f"bndbox/{side}") or "") for side in ("xmin", "ymin", "xmax", "ymax")
        )
    except ValueError:
        faults.add(f"{place}: needs a `bndbox` with the numbers xmin, ymin, xmax and ymax")
        return None
    if not label:
        faults.add(f"{place}: has no `name`")
        return None
    is_crowd = options.difficult == "ignore" and (item.findtext("difficult") or "0").strip() == "1"
    return BoxAnnotation(place, label, (left, top, right, bottom), is_crowd)


@dataclass(slots=True)
class _Images:
    """The images below ``root``, found by the annotations that belong to them."""

    root: Path
    by_stem: dict[str, list[Path]] = field(default_factory=dict)

    def of(self, xml: Path, named: str) -> Path:
        """Return the image named like the annotation, else the file it names; for a missing one, the expected path.

        It is searched beside the annotation and in the usual folders, else in the nearest folder with an image of that
        name.
        """
        folders = [xml.parent, self.root / "JPEGImages", self.root / "images"]
        name = Path(named.replace("\\", "/")).name
        # The annotation's own name first: the name inside is wrong if files were renamed later.
        names = [xml.with_suffix(suffix).name for ending in EXTENSIONS for suffix in (ending, ending.upper())]
        for candidate in (*names, *([name] if name else [])):
            for folder in folders:
                if is_there(folder / candidate):
                    return folder / candidate
        near = self._elsewhere(xml, (xml.stem, Path(name).stem))
        usual = self.root / "JPEGImages"
        return near or (usual if usual.is_dir() else xml.parent) / (named or f"{xml.stem}.jpg")

    def _elsewhere(self, xml: Path, stems: Sequence[str]) -> Path | None:
        """Return the image with one of ``stems`` that shares the most folders with the annotation."""
        if not self.by_stem:
            for image in Walk().files(self.root, EXTENSIONS):
                self.by_stem.setdefault(image.stem, []).append(image)
        images = next((self.by_stem[stem] for stem in stems if stem in self.by_stem), [])
        return max(images, key=lambda image: len(os.path.commonpath((image, xml))), default=None)


format = Voc()  # noqa: A001  # the room's word for its plug-in
