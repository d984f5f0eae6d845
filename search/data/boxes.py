"""Images with boxes: the result of detection formats, and the checks they share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from search.data import decoding
from search.data.assembly import Listed, gather, in_parallel
from search.data.broken_samples import OnError, refuse
from search.data.images import FileImage, is_there
from search.data.sample import Dataset, Split
from search.data.split_options import SplitOptions
from search.errors import DataError

_SLACK = 1.5
"""Pixels by which a box may exceed its image: formats count from 0 or from 1."""


@dataclass(frozen=True, slots=True)
class GroundTruthBox:
    """A ground-truth box, its sides relative to the upright image (0 to 1), origin at the top left.

    Attributes:
        label: index of the class among ``Dataset.classes``.
        is_crowd: a region of many objects, as COCO marks them: neither trained on nor counted in evaluation.
    """

    label: int
    left: float
    top: float
    right: float
    bottom: float
    is_crowd: bool = False


@dataclass(frozen=True, slots=True)
class BoxTarget:
    """Target of one image: ``width`` and ``height`` in pixels, and its boxes; an image without any is background."""

    width: int
    height: int
    boxes: tuple[GroundTruthBox, ...]


@dataclass(frozen=True, slots=True)
class BoxAnnotation:
    """A box as annotated, in pixels of the upright image; ``place`` names it in errors (file and line)."""

    place: str
    label: str
    corners: tuple[float, float, float, float]
    is_crowd: bool = False


@dataclass(slots=True)
class Faults:
    """Annotation errors, collected to be raised together or reported as skipped."""

    name: str
    lines: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        self.lines.append(line)

    def settle(self, on_error: OnError) -> tuple[str, ...]:
        """Return a line for each fault.

        Raises:
            BrokenSamplesError: there are some and ``on_error`` is ``refuse``.
        """
        refuse(self.lines, on_error, self.name)
        return tuple(self.lines)


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """One image file as a format lists it.

    Attributes:
        place: names the annotation in errors.
        boxes: in pixels, or, with ``in_shares``, in fractions of the image's sides.
        size: annotated width and height; None if the annotation has none.
    """

    path: Path
    place: str
    split: Split | None
    boxes: Sequence[BoxAnnotation]
    size: tuple[int, int] | None = None
    in_shares: bool = False


def dataset(
    name: str,
    images: Sequence[AnnotatedImage],
    options: SplitOptions,
    classes: Sequence[str] | None,
    faults: Faults,
) -> Dataset:
    """Return the data set of annotated images: boxes checked, images decoded once, split where no split is given.

    ``classes`` are the valid labels, in order; those without a box are left out. None: all labels that occur,
    sorted. With ``on_error: skip`` a faulty box is left out, one that extends beyond its image is clipped at the
    border, and an image that is missing, or whose size differs from its annotation, is left out; each is a line in
    ``Dataset.skipped``.

    Raises:
        DataError: nothing is found; faults under ``refuse``; a class without a training box.
    """
    if not images:
        raise DataError(f"{name}: no annotated image found")
    sizes = in_parallel(lambda item: _upright_size(item.path), images)
    listed = []
    for item, size in zip(images, sizes, strict=True):
        if isinstance(size, str):
            faults.add(f"{item.place}: {size}")
            continue
        if item.size is not None and item.size != size:
            faults.add(
                f"{item.place}: says {item.size[0]}x{item.size[1]} pixels, but {item.path.name} (upright) has "
                f"{size[0]}x{size[1]}"
            )
            continue
        drawn = [_scaled(box, size) for box in item.boxes] if item.in_shares else item.boxes
        boxes = [kept for box in drawn if (kept := _checked(box, size, classes, faults)) is not None]
        listed.append(Listed(FileImage(item.path), (size, tuple(boxes)), item.split))
    lines = faults.settle(options.on_error)
    used = {box.label for one in listed for box in one.label[1]}
    names = tuple(label for label in classes if label in used) if classes is not None else tuple(sorted(used))
    if not names:
        raise DataError(f"{name}: no image has a box")
    index = {label: number for number, label in enumerate(names)}
    made = gather(
        name,
        listed,
        options,
        names=names,
        encode=partial(_encoded, index),
        written=_written,
        divide=options.by_classes(len(names), _labels),
    )
    _check_training(made)
    return replace(made, skipped=(*lines, *made.skipped), notes=_copies(made))


def _copies(dataset: Dataset) -> tuple[str, ...]:
    """Return a note on duplicate boxes, of which a detector with non-maximum suppression finds only one."""
    twice = [sample for sample in dataset.samples if len(set(sample.target.boxes)) < len(sample.target.boxes)]
    if not twice:
        return ()
    count = sum(len(sample.target.boxes) - len(set(sample.target.boxes)) for sample in twice)
    names = sorted(sample.input.name for sample in twice)
    what = "box duplicates" if count == 1 else "boxes duplicate"
    return (f"{count} {what} another one of their image, and only one of each pair can be found; first: {names[0]}",)


def _scaled(box: BoxAnnotation, size: tuple[int, int]) -> BoxAnnotation:
    left, top, right, bottom = box.corners
    return replace(box, corners=(left * size[0], top * size[1], right * size[0], bottom * size[1]))


def _upright_size(path: Path) -> tuple[int, int] | str:
    """Return width and height of the image file as displayed, or why it has none."""
    if not is_there(path):
        return f"its image {path} does not exist"
    try:
        return decoding.upright_size(path)
    except (OSError, ValueError) as error:
        return f"its image {path} cannot be read: {error}"


def _checked(
    box: BoxAnnotation, size: tuple[int, int], classes: Sequence[str] | None, faults: Faults
) -> BoxAnnotation | None:
    """Return ``box`` in fractions of its image; None if it cannot be used. Faults are recorded."""
    left, top, right, bottom = box.corners
    shown = f"({left:g}, {top:g}, {right:g}, {bottom:g})"
    if not all(math.isfinite(side) for side in box.corners):
        faults.add(f"{box.place}: the box {shown} has a side that is not a number")
        return None
    if classes is not None and box.label not in classes:
        known = ", ".join(classes[:8]) + (", ..." if len(classes) > 8 else "")
        faults.add(f"{box.place}: unknown class {box.label!r}; expected one of {known}")
        return None
    if right <= left or bottom <= top:
        faults.add(f"{box.place}: the box {shown} of class {box.label!r} has no area")
        return None
    width, height = size
    is_outside = left < -_SLACK or top < -_SLACK or right > width + _SLACK or bottom > height + _SLACK
    if is_outside:
        faults.add(
            f"{box.place}: the box {shown} of class {box.label!r} extends beyond its image of {width}x{height} pixels"
        )
    left, right = (round(min(max(side / width, 0.0), 1.0), 6) for side in (left, right))
    top, bottom = (round(min(max(side / height, 0.0), 1.0), 6) for side in (top, bottom))
    if right <= left or bottom <= top:
        if not is_outside:
            faults.add(f"{box.place}: the box {shown} of class {box.label!r} has no area inside its image")
        return None
    return replace(box, corners=(left, top, right, bottom))


def _encoded(index: dict[str, int], label: tuple[tuple[int, int], tuple[BoxAnnotation, ...]]) -> BoxTarget:
    (width, height), boxes = label
    return BoxTarget(
        width, height, tuple(GroundTruthBox(index[box.label], *box.corners, box.is_crowd) for box in boxes)
    )


def _written(target: BoxTarget) -> str:
    boxes = (f"{box.label}:{box.left},{box.top},{box.right},{box.bottom},{box.is_crowd:d}" for box in target.boxes)
    return ";".join(sorted(boxes))


def _labels(target: BoxTarget) -> list[int]:
    return sorted({box.label for box in target.boxes})


def _check_training(dataset: Dataset) -> None:
    trained = {box.label for sample in dataset.of(Split.TRAIN) for box in sample.target.boxes if not box.is_crowd}
    for index, label in enumerate(dataset.classes):
        if index not in trained:
            raise DataError(f"{dataset.name}: no training image has a box of class {label!r}; every class needs some")
