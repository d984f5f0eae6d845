"""A folder per class, with or without ``train``, ``val`` and ``test`` folders around them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from search.data.assembly import Listed, assemble
from search.data.class_folders import class_parts, folders_in
from search.data.files import Walk
from search.data.formats._base import Format
from search.data.given_paths import given_path
from search.data.images import EXTENSIONS, FileImage
from search.data.sample import Dataset, Split
from search.data.split_options import SplitOptions
from search.errors import DataError


@dataclass(frozen=True, slots=True)
class Options(SplitOptions):
    """An image folder, as torchvision's ``ImageFolder`` reads it.

    Attributes:
        path: ``path/CLASS/*.jpg``, or ``path/train/CLASS/*.jpg`` and ``path/val/CLASS/*.jpg``; a split's folder may
            have other words in its name (``training_set``, ``seg_train``), and a test split no labels.
        val_share: taken from the training images if there is no ``val`` folder; ``test_share`` likewise.
        seed: of that split.
        on_error: ``refuse`` broken images, or ``skip`` and list them.
    """

    path: str


class ImageFolder(Format):
    """Class folders full of images; all files but images are skipped."""

    name, options = "image_folder", Options

    def read(self, options: Options, base: Path) -> Dataset:
        root, walk = given_path(base, options.path), Walk()
        folders = _folders(root, walk)
        parts = class_parts(root)
        # Competitions publish test splits without labels.
        unlabelled = [part for part, split in parts.items() if split is Split.TEST and not folders_in(part)]
        listed = [
            item for part, split in parts.items() if part not in unlabelled for item in _classes(part, split, walk)
        ]
        if root not in parts:
            _check_same_classes(root, listed)
        known = {root, *parts, *(part.parent for part in parts)}
        beside = [folder.name for folder in folders if root not in parts and folder not in known]
        notes = [f"{part} has no class folders: a test part without labels is not used" for part in unlabelled]
        notes += [f"folders beside train that are not part of the data: {', '.join(beside)}"] if beside else []
        return replace(assemble(root.name, listed, options), notes=(*notes, *walk.lines()))


def _folders(root: Path, walk: Walk) -> list[Path]:
    if not root.exists():
        raise DataError(f"data folder {root} does not exist; `data.path` is relative to the study file")
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; expected one with a folder per class in it")
    folders = walk.folders(root)
    if not folders:
        raise DataError(f"data folder {root} has no class folders; expected {root}/CLASS/*.jpg")
    return folders


def _classes(root: Path, split: Split | None, walk: Walk) -> list[Listed]:
    listed: list[Listed] = []
    for folder in _folders(root, walk):
        files = walk.files(folder, EXTENSIONS)
        if not files:
            instead = "".join(f" ({line})" for line in walk.lines())
            raise DataError(
                f"class folder {folder} has no image; expected files such as .jpg or .png in it, or remove it{instead}"
            )
        listed += [Listed(FileImage(path), folder.name, split) for path in files]
    return listed


def _check_same_classes(root: Path, listed: list[Listed]) -> None:
    train = {item.label for item in listed if item.split is Split.TRAIN}
    for item in listed:
        if item.label not in train:
            raise DataError(
                f"{root}: class {item.label!r} is in {item.split} but not in train; every class needs training images"
            )


format = ImageFolder()  # noqa: A001  # the room's word for its plug-in
