"""Finds the class folders of an image data set: directly in its folder, or in one folder for each split."""

from __future__ import annotations

from pathlib import Path

from search.data.files import visible
from search.data.sample import Split
from search.data.split_names import split_of


def folders_in(folder: Path) -> list[Path]:
    """Return the folders in ``folder`` without hidden and system ones, sorted."""
    return [entry for entry in visible(folder) if entry.is_dir()]


def folder_called(root: Path, *names: str) -> Path:
    """Return the folder at ``root/NAME/NAME ...``, whatever the case of its letters; as ``names`` spell it if missing.

    A folder that is spelled like that comes first.
    """
    for name in names:
        same = [one for one in folders_in(root) if one.name.lower() == name.lower()] if root.is_dir() else []
        root = next((one for one in same if one.name == name), next(iter(same), root / name))
    return root


def class_parts(root: Path) -> dict[Path, Split | None]:
    """Return the folders that hold class folders, each with its split; ``root`` itself if there are no splits.

    A folder is a split if its name says so (``train``, ``seg_train``, ``training_set``) and the one for training holds
    folders: in a data set of vehicles ``train`` may well be a class. Archives are often packed as
    ``seg_train/seg_train``.
    """
    folders = folders_in(root)
    parts: dict[Path, Split | None] = {
        _unpacked(folder): split for folder in folders if (split := split_of(folder.name)) is not None
    }
    train = [folder for folder, split in parts.items() if split is Split.TRAIN]
    if train and (len(parts) == len(folders) or any(folders_in(folder) for folder in train)):
        return parts
    return {root: None}


def _unpacked(folder: Path) -> Path:
    """Return the folder inside ``folder`` if it has the same name and is its only content; else ``folder``."""
    inside = visible(folder)
    same = len(inside) == 1 and inside[0].is_dir() and inside[0].name == folder.name
    return inside[0] if same else folder
