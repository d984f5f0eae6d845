"""Images beside masks: two folders, or one, whose files have the same names but for an ending such as ``_mask``."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np

from search.data import mask_colours, masks
from search.data.class_folders import folders_in
from search.data.files import files_below, visible
from search.data.formats.mask_folder import LOSSY, PART
from search.data.images import EXTENSIONS
from search.data.sample import Split
from search.data.split_names import SPLITS, split_of, words_of
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
_IN_COLOUR = re.compile("label|mask|annot|segm|colou?r|gt", re.IGNORECASE)
"""Names of folders of masks whose colours are the classes."""
_LOOKED_AT = 400
_MOST_FOLDERS = 8
"""Most folders to compare with each other: if there are more, most are classes."""
_OPENED = 4


def of_folder(folder: Path) -> list[Recognised]:
    """Return whether ``folder``, or the training part in it, holds images and masks."""
    for root in (folder, *(part for part in folders_in(folder) if split_of(part.name) is Split.TRAIN)):
        names = _Names()
        for images, place, suffixes in (*_named(root, names), *_alike(root, names)):
            return [_recognised(folder, root, images, place, suffixes)]
    return []


def is_no_class(name: str) -> bool:
    """Return whether a folder is named like folders of images or masks: ``images``, ``annotations``."""
    return name.lower() in _IMAGES | _MASKS


@dataclass(slots=True)
class _Names:
    """Files of folders, listed once: large data sets have many."""

    _listed: dict[Path, list[str]] = field(default_factory=dict)

    def below(self, folder: Path, endings: Sequence[str]) -> list[str]:
        """Return the names of files with these endings, relative to ``folder``."""
        if folder not in self._listed:
            self._listed[folder] = [str(file.relative_to(folder)) for file in files_below(folder)]
        return [name for name in self._listed[folder] if name.lower().endswith(tuple(endings))]

    def stems(self, folder: Path, endings: Sequence[str]) -> list[str]:
        """Return the names without their extensions."""
        return [os.path.splitext(name)[0] for name in self.below(folder, endings)]


_Pair = tuple[Path, Path, tuple[str, str]]
"""Folders of images and of masks, and what follows the common name in both."""


def _named(root: Path, names: _Names) -> Iterator[_Pair]:
    """Yield folders named like folders of images and of masks."""
    inside = folders_in(root)
    known = [one for one in inside if one.name.lower() in _IMAGES]
    beside = [one for one in inside if one.name.lower() in _MASKS]
    deeper = [inner for one in beside for inner in folders_in(one) if split_of(inner.name) is None]
    pairs = list(product(known, (*beside, *deeper)))
    for images, place in pairs:
        suffixes = _suffixes(images, place, names)
        if suffixes is not None:
            yield images, place, suffixes
    for images, place in pairs:
        if names.below(images, EXTENSIONS) and names.below(place, (*masks.EXTENSIONS, *LOSSY)):
            yield images, place, ("", "")  # the format reports what does not fit


def _alike(root: Path, names: _Names) -> Iterator[_Pair]:
    """Yield folders with files of the same names, one of photographs and one of masks, or one folder with both."""
    inside = sorted(folders_in(root), key=lambda folder: split_of(folder.name) is not Split.TRAIN)
    held = [place for place in inside if _are_masks(place, names)] if len(inside) <= _MOST_FOLDERS else []
    for images, place in product([one for one in inside if one not in held], held):
        suffixes = _suffixes(images, place, names)
        if suffixes is not None:
            yield images, place, suffixes
    own = [file.stem for file in visible(root) if file.suffix.lower() in masks.EXTENSIONS]
    if any(stem.endswith(_MARKED) for stem in own):
        suffixes = _suffixes(root, root, names)
        if suffixes is not None:
            yield root, root, suffixes


def _recognised(folder: Path, root: Path, images: Path, place: Path, suffixes: tuple[str, str]) -> Recognised:
    named = _for_all_parts(root, str(images.relative_to(root)), str(place.relative_to(root)))
    options: dict[str, Json] = {} if named == _PLAIN else {"images": named[0], "masks": named[1]}
    options |= {key: value for key, value in zip(("image_suffix", "mask_suffix"), suffixes, strict=True) if value}
    options |= _colours(folder, place)
    why = f"{named[0]}/ beside {named[1]}/" if images != place else f"images beside *{suffixes[1]}"
    return Recognised("segmentation", "mask_folder", why, folder, options)


def _colours(folder: Path, place: Path) -> dict[str, Json]:
    """Return the option for masks that are coloured, if a file in ``folder`` names the colours."""
    file = next((name for name in mask_colours.NAMES if (folder / name).is_file()), None)
    first = next((one for one in files_below(place) if one.suffix.lower() in masks.EXTENSIONS), None)
    if file is None or first is None:
        return {}
    try:
        masks.read_values(first)
    except masks.ColouredError:
        return {"colours": file}
    except (OSError, ValueError):
        pass  # the format reports it
    return {}


def _for_all_parts(root: Path, images: str, place: str) -> tuple[str, str]:
    """Return the names of folders of images and masks; of ``train`` and ``trainannot``, where ``val`` or ``test`` lies
    beside them with its own, as ``{part}`` and ``{part}annot``."""
    for word in SPLITS if images != place else ():
        if SPLITS[word] is not Split.TRAIN or word not in words_of(images) or word not in place.lower():
            continue
        patterns = (
            re.sub(word, PART, images, count=1, flags=re.IGNORECASE),
            re.sub(word, PART, place, count=1, flags=re.IGNORECASE),
        )
        others = [other for other, split in SPLITS.items() if split is not Split.TRAIN]
        if any(all((root / one.replace(PART, other)).is_dir() for one in patterns) for other in others):
            return patterns
    return images, place


def _suffixes(images: Path, place: Path, names: _Names) -> tuple[str, str] | None:
    """Return what follows the common name in images' and in masks' names; None if most have none in common.

    Of several masks per image (``_gtFine_labelIds``, ``_gtFine_instanceIds``), those with labels are taken.
    """
    there = set(names.stems(images, EXTENSIONS))
    written = set(names.stems(place, masks.EXTENSIONS)[:_LOOKED_AT])
    if images != place and 2 * len(there & written) > min(len(there), len(written)):
        return ("", "")
    shared = _common_ending(there) if images != place else ""
    stems = {name.removesuffix(shared) for name in there}
    endings = Counter(
        ending for name in written if (ending := _ending(name, stems)) and (images != place or ending in _MARKED)
    )
    if not endings:
        return None
    best = max(endings, key=lambda ending: (endings[ending], "label" in ending.lower(), "train" in ending.lower()))
    alone = len(there) - endings[best] if images == place else len(there)
    return (shared, best) if 2 * endings[best] >= min(alone, len(written) / len(endings)) else None


def _ending(name: str, stems: set[str]) -> str:
    """Return the rest of ``name`` after the longest of ``stems`` that it begins with."""
    return next((name[cut:] for cut in range(len(name) - 1, 0, -1) if name[:cut] in stems), "")


def _common_ending(names: set[str]) -> str:
    """Return the ending from the last underscore on that all names share: ``_leftImg8bit``."""
    endings = {name[name.rfind("_") :] if "_" in name else "" for name in names}
    return endings.pop() if len(endings) == 1 else ""


def _are_masks(folder: Path, names: _Names) -> bool:
    """Return whether the first files have one value per pixel, or one colour, and few different ones."""
    files = names.below(folder, masks.EXTENSIONS)[:_OPENED]
    for file in files:
        try:
            values = masks.read_values(folder / file)
        except masks.ColouredError:
            if _IN_COLOUR.search(folder.name) is None:
                return False  # icons have few colours, too
            continue  # the format says what to do with them
        except (OSError, ValueError):
            return False
        if len(np.unique(values)) > masks.MOST_CLASSES:
            return False
    return bool(files)
