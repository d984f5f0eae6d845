"""Rows of YOLO label files: boxes, polygons, oriented boxes and poses, distinguished by their number of values.

Ultralytics writes ``class x y width height`` for detection, ``class x1 y1 x2 y2 ...`` for outlines (segment) and for
the four corners of rotated boxes (OBB), and ``class x y width height`` followed by two or three numbers per key point
(pose); saved predictions may end in a confidence (https://docs.ultralytics.com/datasets/).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search.data.boxes import BoxAnnotation, Faults

_BOX = 4
_TRIANGLE = 6
_SLACK = 0.05
"""Share of its image by which an outline may extend beyond it; the box is then clipped at the border."""
_VISIBLE = (0.0, 1.0, 2.0)
"""Visibility of a key point: not labelled, hidden, visible."""


@dataclass(frozen=True, slots=True)
class YoloRow:
    """One line of a label file: its class name and the values after it, relative to the image size."""

    place: str
    label: str
    numbers: tuple[float, ...]


def read_rows(label: Path, names: Sequence[str], faults: Faults) -> list[YoloRow]:
    """Return the rows of one image; an image with no label file, or an empty one, is background."""
    if not label.is_file():
        return []
    try:
        text = label.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        faults.add(f"{label}: cannot be read: {error}")
        return []
    lines = enumerate(text.replace("\r\n", "\n").split("\n"), 1)
    made = (_row(f"{label}, line {number}", line, names, faults) for number, line in lines if line.strip())
    return [row for row in made if row is not None]


def _row(place: str, line: str, names: Sequence[str], faults: Faults) -> YoloRow | None:
    words = line.split()
    try:
        label, numbers = float(words[0]), tuple(float(word) for word in words[1:])
    except ValueError:
        label, numbers = -0.5, ()
    if not label.is_integer():
        faults.add(f"{place}: expected `class x y width height` in numbers, got {line.strip()[:80]!r}")
        return None
    number = int(label)
    return YoloRow(place, names[number] if 0 <= number < len(names) else f"number {number}", numbers)


def boxes_of(
    images: Sequence[Sequence[YoloRow]],
    keypoints: tuple[int, int] | None,
    faults: Faults,
    *,
    are_outlines: bool = False,
) -> list[list[BoxAnnotation]]:
    """Return the boxes of every image, corners relative to its size; invalid rows become faults.

    Args:
        images: rows by image.
        keypoints: ``kpt_shape`` of data.yaml: the number of key points in a row, and of values for each.
        are_outlines: whether data.yaml declares long rows to be outlines or rotated boxes, whatever they look like.
    """
    hint = "" if keypoints or are_outlines else _keypoint_hint([row for rows in images for row in rows])
    by_image = []
    for rows in images:
        boxes = []
        for row in rows:
            corners = _corners(row.numbers, keypoints, hint)
            if isinstance(corners, str):
                faults.add(f"{row.place}: {corners}")
            else:
                boxes.append(BoxAnnotation(row.place, row.label, corners))
        by_image.append(boxes)
    return by_image


def _corners(
    numbers: Sequence[float], keypoints: tuple[int, int] | None, hint: str
) -> tuple[float, float, float, float] | str:
    """Return left, top, right and bottom of a row's box, or why the row is invalid."""
    count = len(numbers)
    if count == _BOX or (keypoints is not None and count == _BOX + keypoints[0] * keypoints[1]):
        x, y, width, height = numbers[:_BOX]
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if keypoints is not None:
        wanted = 1 + _BOX + keypoints[0] * keypoints[1]
        return f"expected {wanted} numbers, as `kpt_shape: {list(keypoints)}` says, got {count + 1}"
    if count >= _TRIANGLE and count % 2 == 0:
        return hint or _around(numbers)
    if count == _BOX + 1:
        return "expected `class x y width height`, got 6 numbers; take out the last one if it is a confidence"
    if count > _TRIANGLE:
        return (
            f"expected `class x y width height`, or an outline of x y pairs, got {count + 1} numbers; rows with key "
            "points need `kpt_shape` in data.yaml, and a confidence at the end must go"
        )
    return f"expected `class x y width height`, or an outline of at least three points, got {count + 1} numbers"


def _around(outline: Sequence[float]) -> tuple[float, float, float, float] | str:
    """Return the sides of an outline's box, or why there is none."""
    strange = next((value for value in outline if not -_SLACK <= value <= 1 + _SLACK), None)
    if strange is not None:
        return f"expected an outline of points between 0 and 1, got {strange:g}"
    return min(outline[::2]), min(outline[1::2]), max(outline[::2]), max(outline[1::2])


def _keypoint_hint(rows: Sequence[YoloRow]) -> str:
    """Return advice if long rows look like poses or tracks that data.yaml does not declare; else an empty string.

    Polygons vary in length. If all rows have the same length, they look like poses when every third value is a
    visibility flag, or when every would-be corner lies inside the box that the first four values describe; and like
    saved tracks when two numbers follow a box and the last one is whole.
    """
    long = [row.numbers for row in rows if len(row.numbers) > _BOX]
    lengths = {len(numbers) for numbers in long}
    if len(lengths) != 1:
        return ""
    rest = lengths.pop() - _BOX
    if rest == 2 and all(numbers[-1].is_integer() for numbers in long):
        return "seems to be a box with a confidence and the number of a track, not an outline; take these two out"
    if rest % 3 == 0 and all(value in _VISIBLE for numbers in long for value in numbers[_BOX + 2 :: 3]):
        each = 3
    elif rest % 2 == 0 and rest >= _TRIANGLE and len(long) >= _TRIANGLE and all(map(_points_inside, long)):
        each = 2
    else:
        return ""
    count = rest // each
    return (
        f"seems to be a box with {count} key points, not an outline; say `kpt_shape: [{count}, {each}]` in data.yaml, "
        "or `task: segment` if it is one"
    )


def _points_inside(numbers: Sequence[float]) -> bool:
    x, y, width, height = numbers[:_BOX]
    across, down = numbers[_BOX::2], numbers[_BOX + 1 :: 2]
    # A key point that is not labelled is at 0, 0.
    points = [point for point in zip(across, down, strict=True) if point != (0.0, 0.0)]
    return all(2 * abs(left - x) <= width and 2 * abs(top - y) <= height for left, top in points)
