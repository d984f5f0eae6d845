"""Images, and mask images of the same names, with or without ``train``, ``val`` and ``test`` folders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from search.data import mask_colours, masks
from search.data.assembly import Listed
from search.data.broken_samples import refuse
from search.data.files import Walk
from search.data.formats._base import Format
from search.data.given_paths import given_path
from search.data.image_sets import listed_names
from search.data.images import EXTENSIONS, FileImage
from search.data.masks import MaskFile, Survey
from search.data.sample import Dataset, Split
from search.data.split_names import SPLITS, split_of
from search.data.split_options import SplitOptions
from search.data.tabular import lines_of
from search.errors import DataError

_NAMES = "classes.txt"
_USUAL = (255,)
_SHOWN = 8
_BLACK_AND_WHITE = {0, 255}
_LISTS = Path("ImageSets", "Segmentation")
PART = "{part}"
"""Stands for the name of a split in folder names."""
LOSSY = (".jpg", ".jpeg", ".webp")


@dataclass(frozen=True, slots=True)
class Options(SplitOptions):
    """Two folders with files of the same names: photographs, and masks whose values are the classes.

    Attributes:
        path: ``path/images/NAME.jpg`` and ``path/masks/NAME.png``; ``train``, ``val`` and ``test`` folders may
            contain the two or be in both. Folders inside them are searched too. If ``ImageSets/Segmentation`` lists
            the images of each split, as in Pascal VOC, those are used.
        images: the folder of images; ``masks`` that of masks. ``{part}`` in them stands for ``train``, ``val`` and
            ``test`` if these are side by side: ``images: "{part}"`` and ``masks: "{part}annot"``.
        image_suffix: what follows NAME in images' names (``_leftImg8bit``); ``mask_suffix`` in masks'.
        classes: names of the values 0, 1, 2 ...; by default the lines of ``path/classes.txt``, or the values that
            occur.
        colours: file in ``path`` that names the colour of each class, ``name,red,green,blue`` a line, where masks are
            coloured; the lines are the values 0, 1, 2 ... then.
        ignore: values of ignored pixels. If masks hold nothing but 0 and 255 (black and white), 255 is the second class
            by default.
        val_share: taken from the training images if there is no ``val`` folder; ``test_share`` likewise.
        on_error: ``refuse`` missing and wrong masks and broken images, or ``skip`` and list them.
    """

    path: str
    images: str = "images"
    masks: str = "masks"
    image_suffix: str = ""
    mask_suffix: str = ""
    classes: tuple[str, ...] = ()
    colours: str | None = None
    ignore: tuple[int, ...] = _USUAL

    def __post_init__(self) -> None:
        SplitOptions.__post_init__(self)
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes: there is a duplicate in {list(self.classes)}")
        if self.classes and self.colours:
            raise ValueError("classes: the file under `colours` names them already; leave one out")
        if self.images == self.masks and not self.mask_suffix:
            raise ValueError("images and masks in one folder need a mask_suffix to distinguish them")


@dataclass(frozen=True, slots=True)
class _Pair:
    image: Path
    mask: Path | None
    expected: Path
    split: Split | None


class MaskFolder(Format):
    """Palette or grey PNGs, one value per pixel; in a palette image the index counts, unless ``colours`` are given."""

    name, options = "mask_folder", Options

    def read(self, options: Options, base: Path) -> Dataset:
        root, walk = given_path(base, options.path), Walk()
        pairs = list(_pairs(root, options, walk))
        if not pairs:
            raise DataError(
                f"{root}: no images found; expected {root / options.images}/NAME.jpg and "
                f"{root / options.masks}/NAME{options.mask_suffix}.png, in train, val and test folders or without"
            )
        palette = mask_colours.read(given_path(root, options.colours)) if options.colours else mask_colours.NONE
        named = palette.names or options.classes or _written(root / _NAMES)
        there = [pair for pair in pairs if pair.mask is not None]
        found = masks.survey([pair.mask for pair in there if pair.mask is not None], palette.colours)
        surveys = dict(zip(there, found, strict=True))
        seen = {value for one in surveys.values() for value, _ in one.values}
        is_binary = (
            not options.colours and seen == _BLACK_AND_WHITE and options.ignore == _USUAL and len(named) in (0, 2)
        )
        ignored = () if is_binary else options.ignore
        numbered = sorted(seen) if is_binary or not named else range(len(named))
        values = [value for value in numbered if value not in ignored]
        names = tuple(named[index] if named else str(value) for index, value in enumerate(numbered) if value in values)
        faults = {pair: _fault(pair, surveys.get(pair), values, ignored) for pair in pairs}
        skipped = [f"{pair.image}: {fault}" for pair, fault in faults.items() if fault]
        refuse(skipped, options.on_error)
        if len(skipped) == len(pairs):
            raise DataError(f"{root}: none of the {len(pairs)} images can be used; the first: {skipped[0]}")
        if len(values) < 2:
            what = f"only the class {names[0]}" if names else "no class"
            beside = f" beside the values to ignore ({', '.join(map(str, ignored))})" if ignored else ""
            raise DataError(f"{root}: the masks hold {what}{beside}; segmentation needs at least two")
        listed = [_listed(pair, surveys[pair], values, palette.colours) for pair in pairs if not faults[pair]]
        dataset = masks.gather_masks(root.name, listed, options, names, _identity)
        notes = () if named else _on_values(values, ignored)
        return replace(dataset, skipped=(*skipped, *dataset.skipped), notes=(*notes, *walk.lines()))


def _pairs(root: Path, options: Options, walk: Walk) -> Iterator[_Pair]:
    if not root.is_dir():
        raise DataError(f"data folder {root} does not exist; `data.path` is relative to the study file")
    lists = listed_names(root / _LISTS, root / options.masks, f"{options.mask_suffix}.png")
    listed = {name: split for split, names in lists.items() for name in names}
    for images, beside, split in _places(root, options, walk):
        if images.is_dir() and not beside.is_dir():
            raise DataError(f"{beside} does not exist; expected the masks of {images} in it, or say `masks: FOLDER`")
        together = EXTENSIONS if beside == images else ()
        written = walk.files(beside, masks.EXTENSIONS, together) if beside.is_dir() else []
        known = {path.relative_to(beside).with_suffix(""): path for path in written}
        for image in walk.files(images, EXTENSIONS) if images.is_dir() else ():
            if images == beside and image.stem.endswith(options.mask_suffix):
                continue
            relative = image.relative_to(images)
            stem = image.stem.removesuffix(options.image_suffix)
            if listed and stem not in listed:
                continue
            wanted = relative.with_name(f"{stem}{options.mask_suffix}")
            part = split or listed.get(stem) or (split_of(relative.parts[0]) if len(relative.parts) > 1 else None)
            yield _Pair(image, known.get(wanted), beside / f"{wanted}.png", part)


def _places(root: Path, options: Options, walk: Walk) -> list[tuple[Path, Path, Split | None]]:
    """Return the folders of images and of masks of each split; with the split None if file names tell it."""
    folders = walk.folders(root)
    if PART in options.images:
        pattern = re.compile(re.escape(options.images).replace(re.escape(PART), "(.+)", 1))
        named = [(folder, match[1]) for folder in folders if (match := pattern.fullmatch(folder.name))]
        return [
            (folder, root / options.masks.replace(PART, part), split)
            for folder, part in named
            if (split := SPLITS.get(part.lower())) is not None
        ]
    parts = [(folder, split) for folder in folders if (split := split_of(folder.name)) is not None]
    around = [(folder / options.images, folder / options.masks, split) for folder, split in parts]
    there = [pair for pair in around if pair[0].is_dir()]
    if any(split is Split.TRAIN for *_, split in there):
        return [*there]
    return [(root / options.images, root / options.masks, None)]


def _written(path: Path) -> tuple[str, ...]:
    """Return the names in the file, one per line; none if there is no such file."""
    if not path.is_file():
        return ()
    names = tuple(lines_of(path))
    if len(set(names)) < len(names):
        raise DataError(f"{path}: a name is listed twice; expected the names of the values 0, 1, 2 ..., one per line")
    return names


def _on_values(values: Sequence[int], ignored: Sequence[int]) -> tuple[str, ...]:
    """Return a note on masks without names whose values are not 0, 1, 2 ...: soft edges look like classes."""
    if list(values) == list(range(len(values))) or set(values) == _BLACK_AND_WHITE:
        return ()
    shown = f"{', '.join(map(str, values[:_SHOWN]))}{', ...' if len(values) > _SHOWN else ''}"
    return (
        f"every value of the masks is taken for a class: {shown} ({', '.join(map(str, ignored))} counts for nothing); "
        "if some are soft edges, save the masks without them",
    )


def _fault(pair: _Pair, survey: Survey | None, values: Sequence[int], ignored: Sequence[int]) -> str:
    if survey is None:
        changed = next((file for ending in LOSSY if (file := pair.expected.with_suffix(ending)).is_file()), None)
        instead = f"; {changed.name} may have lost its exact values: save the masks as PNG" if changed else ""
        return f"no mask; expected {pair.expected}{instead}"
    if survey.fault:
        return f"cannot read the mask {pair.mask}: {survey.fault}"
    size = masks.size_of(pair.image)
    if size is not None and size != (survey.width, survey.height):
        return f"the image is {size[0]}x{size[1]} pixels, its mask {pair.mask} {survey.width}x{survey.height}"
    strange = [value for value, _ in survey.values if value not in values and value not in ignored]
    if strange:
        return (
            f"the mask {pair.mask} has the value {mask_colours.written(strange[0])}, which is neither one of the "
            f"{len(values)} classes nor under `ignore`"
        )
    return ""


def _identity(mask: MaskFile) -> str:
    return f"{mask.digest} {mask.table}" + (f" {mask.colours}" if mask.colours else "")


def _listed(pair: _Pair, survey: Survey, values: Sequence[int], colours: tuple[int, ...]) -> Listed:
    table = tuple((value, label) for label, value in enumerate(values))
    pixels = tuple((label, dict(survey.values).get(value, 0)) for value, label in table)
    target = MaskFile(
        pair.mask or pair.expected,
        table,
        tuple(row for row in pixels if row[1]),
        survey.digest,
        (survey.height, survey.width),
        colours,
    )
    return Listed(FileImage(pair.image), target, pair.split)


format = MaskFolder()  # noqa: A001  # the room's word for its plug-in
