"""Masks whose colours are the classes: which colour stands for which class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.data.yaml_documents import text_of
from search.errors import DataError

NAMES = ("class_dict.csv", "class_dict_seg.csv", "classes.csv", "label_colors.txt", "labelmap.txt")
"""Files in which known data sets and annotation tools name the colours of their masks."""
UNKNOWN = 1 << 24
"""Added to a colour that no class has, so that it is no number of a class."""
_COLOUR = re.compile(r"(?<!\d)(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})(?!\d)")
_AROUND = " \t,;:\"'"


@dataclass(frozen=True, slots=True)
class Palette:
    """The classes of coloured masks: ``colours`` are ``0xRRGGBB``, in the order of ``names``."""

    names: tuple[str, ...]
    colours: tuple[int, ...]


NONE = Palette((), ())
"""Of masks whose values are the classes."""


def read(path: Path) -> Palette:
    """Return the classes in a file with a name and three numbers per line, in either order.

    ``Car,64,0,128`` and ``64 0 128  Car`` are read, and ``Car:64,0,128::``, as annotation tools write it. A header and
    comments are passed over.

    Raises:
        DataError: it cannot be read, or a line of it.
    """
    try:
        lines = text_of(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the colours of the classes in {path}: {error}") from error
    found: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _COLOUR.search(line)
        if match is None and not found and not re.search(r"\d", line):
            continue  # a header
        name = match and (line[: match.start()].strip(_AROUND) or line[match.end() :].strip(_AROUND))
        colour = _packed([int(part) for part in match.groups()]) if match else -1
        if not name or colour < 0:
            raise DataError(
                f"{path}, line {number}: expected a class and its colour, `name,red,green,blue`, got {line!r:.80}"
            )
        if name in found or colour in found.values():
            raise DataError(f"{path}, line {number}: the class {name!r} or its colour is listed twice")
        found[name] = colour
    if not found:
        raise DataError(f"{path}: no class in it; expected a line `name,red,green,blue` for each")
    return Palette(tuple(found), tuple(found.values()))


def numbers_of(pixels: NDArray[np.uint8], colours: Sequence[int]) -> NDArray[np.int32]:
    """Return for pixels ``(H, W, 3)`` the place of each one's colour among ``colours``; of others ``UNKNOWN`` + it."""
    red, green, blue = (pixels[..., channel].astype(np.int32) for channel in range(3))
    packed = red << 16 | green << 8 | blue
    order = np.argsort(colours)
    ranked = np.asarray(colours, dtype=np.int32)[order]
    places = np.searchsorted(ranked, packed).clip(max=len(ranked) - 1)
    return np.where(ranked[places] == packed, order[places], packed + UNKNOWN).astype(np.int32)


def written(value: int) -> str:
    """Return a value of a mask in words: its number, or the colour that no class has."""
    return str(value) if value < UNKNOWN else f"#{value - UNKNOWN:06x}"


def _packed(parts: Sequence[int]) -> int:
    return -1 if max(parts) > 255 else parts[0] << 16 | parts[1] << 8 | parts[2]
