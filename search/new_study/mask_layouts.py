"""Images beside masks: two folders, or one, whose files have the same names but for an ending such as ``_mask``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice, permutations, product
from pathlib import Path

import numpy as np

from search.data import masks
from search.data.class_folders import folders_in
from search.data.files import Walk
from search.data.images import EXTENSIONS
from search.data.parts import split_of
from search.data.sample import Split
from search.new_study.recognised import Recognised
from search.records.study import Json

_IMAGES = {"images", "image", "imgs", "img", "jpegimages", "photos", "pictures", "inputs", "leftimg8bit"}
_MASKS = {
    *("masks", "mask", "labels", "label", "annotations", "annotation", "annots", "annot", "segmentationclass"),
    *("segmentationclasspng", "segmentations", "segmentation", "gt", "gts", "groundtruth", "trimaps", "targets"),
    *("gtfine", "imagesets", "segmentationobject"),
}
"""Words for folders of images and of masks, in lower case."""
_PLAIN = ("images", "masks")
_MARKED = ("_mask", "-mask", ".mask", "_seg", "_segmentation", "_label", "_gt", "_L")
"""Endings of masks that lie in the folder of their images."""
_LOOKED_AT = 400
_MOST_FOLDERS = 8
"""That are compared with each other: of more, most are classes."""
_OPENED = 4
_MOST_CLASSES = 64
"""Values of a mask; a photograph has more."""


def of_folder(folder: Path) -> list[Recognised]:
    """Return whether ``folder``, or the training part in it, holds images and masks."""
    for root in (folder, *(part for part in folders_in(folder) if split_of(part.name) is Split.TRAIN)):
        for images, place, suffixes in (*_named(root), *_alike(root)):
            return [_recognised(folder, root, images, place, suffixes)]
    return []


def is_no_class(name: str) -> bool:
    """Return whether a folder of images is called as those of images or masks are: ``images``, ``annotations``."""
    return name.lower() in _IMAGES | _MASKS


def _named(root: Path) -> Iterator[tuple[Path, Path, tuple[str, str]]]:
    """Yield folders that are called as those of images and of masks are, and what their files' names end in."""
    inside = folders_in(root)
    known = [one for one in inside if one.name.lower() in _IMAGES]
    beside = [one for one in inside if one.name.lower() in _MASKS]
    deeper = [inner for one in beside for inner in folders_in(one) if split_of(inner.name) is None]
    pairs = list(product(known, (*beside, *deeper)))
    for images, place in pairs:
        suffixes = _suffixes(images, place)
        if suffixes is not None:
            yield images, place, suffixes
    for images, place in pairs:
        if _has_files(images, EXTENSIONS) and _has_files(place, (*masks.EXTENSIONS, ".jpg")):
            yield images, place, ("", "")  # the format says what does not fit


def _alike(root: Path) -> Iterator[tuple[Path, Path, tuple[str, str]]]:
    """Yield folders whose files have the same names, one with photographs and one with masks; one folder with both."""
    inside = sorted(folders_in(root), key=lambda folder: split_of(folder.name) is not Split.TRAIN)
    for images, place in permutations(inside, 2) if len(inside) <= _MOST_FOLDERS else ():
        suffixes = _suffixes(images, place)
        if suffixes is not None and _are_masks(place) and not _are_masks(images):
            yield images, place, suffixes
    suffixes = _suffixes(root, root)
    if suffixes is not None:
        yield root, root, suffixes


def _recognised(folder: Path, root: Path, images: Path, place: Path, suffixes: tuple[str, str]) -> Recognised:
    names = (str(images.relative_to(root)), str(place.relative_to(root)))
    options: dict[str, Json] = {} if names == _PLAIN else {"images": names[0], "masks": names[1]}
    options |= {key: value for key, value in zip(("image_suffix", "mask_suffix"), suffixes, strict=True) if value}
    why = f"{names[0]}/ beside {names[1]}/" if images != place else f"images beside *{suffixes[1]}"
    return Recognised("segmentation", "mask_folder", why, folder, options)


def _suffixes(images: Path, place: Path) -> tuple[str, str] | None:
    """Return what stands behind the common name in images' and in masks' names; None if most have none in common.

    Of several masks an image (``_gtFine_labelIds``, ``_gtFine_instanceIds``) those with labels are taken.
    """
    names = set(_names(images, EXTENSIONS))
    written = set(islice(_names(place, masks.EXTENSIONS), _LOOKED_AT))
    if images != place and 2 * len(names & written) > min(len(names), len(written)):
        return ("", "")
    shared = _common_ending(names) if images != place else ""
    stems = {name.removesuffix(shared) for name in names}
    found = Counter(
        ending for name in written if (ending := _ending(name, stems)) and (images != place or ending in _MARKED)
    )
    if not found:
        return None
    best = max(found, key=lambda ending: (found[ending], "label" in ending.lower(), "train" in ending.lower()))
    images_there = len(names) - found[best] if images == place else len(names)
    return (shared, best) if 2 * found[best] >= min(images_there, len(written) / len(found)) else None


def _ending(name: str, stems: set[str]) -> str:
    """Return what ``name`` has behind the longest of ``stems`` that it begins with."""
    return next((name[cut:] for cut in range(len(name) - 1, 0, -1) if name[:cut] in stems), "")


def _common_ending(names: set[str]) -> str:
    """Return the ending from the last underscore on that all names share: ``_leftImg8bit``."""
    endings = {name[name.rfind("_") :] if "_" in name else "" for name in names}
    return endings.pop() if len(endings) == 1 else ""


def _names(folder: Path, endings: Sequence[str]) -> Iterator[str]:
    """Yield the names of files in ``folder``, without endings and relative to it."""
    return (str(file.relative_to(folder).with_suffix("")) for file in Walk().files(folder, endings))


def _has_files(folder: Path, endings: Sequence[str]) -> bool:
    return bool(Walk().files(folder, endings))


def _are_masks(folder: Path) -> bool:
    """Return whether the first files have one value a pixel, and few of them."""
    files = list(islice(Walk().files(folder, masks.EXTENSIONS), _OPENED))
    for file in files:
        try:
            values = masks.read_values(file)
        except (OSError, ValueError):
            return False
        if len(np.unique(values)) > _MOST_CLASSES:
            return False
    return bool(files)
