"""16-bit colours, of which Pillow keeps the upper eight bits, and files whose deep pixels it would misread."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

_COLOURS = re.compile(r"(RGB[AXa]?|LA);16")
_PLANAR, _DEPTHS = 284, 258
"""TIFF tags: the planar configuration, 2 if each colour is a plane of its own, and the bits per channel."""
_BIG = sys.byteorder == "big"
_TURNED = {";16B": ";16L", ";16L": ";16B", ";16N": ";16L" if _BIG else ";16B"}


def is_deep_colour(image: Image.Image) -> bool:
    """Return whether an image that is not yet decoded has 16-bit colours, or 16-bit grey and opacity."""
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else ()
    return image.mode in ("RGB", "RGBA") and any(_COLOURS.match(_raw_mode(tile)) for tile in tiles)


def mend(image: ImageFile.ImageFile) -> None:
    """Correct how Pillow would read the deep pixels of an image that is not yet decoded.

    libtiff returns compressed numbers in this machine's byte order, whatever the file's. Colours stored
    premultiplied by their opacity stay so: both of their bytes can be read in no other way.

    Raises:
        ValueError: the colours are stored in planes, which Pillow misreads.
    """
    tags = getattr(image, "tag_v2", {})
    if tags.get(_PLANAR) == 2 and max(tags.get(_DEPTHS, (8,))) > 8 and len(tags.get(_DEPTHS, ())) > 1:
        raise ValueError("a TIFF of more than 8 bits with its colours in planes; save it with interleaved colours")
    native = {"F;32BF": "F;32F", "I;32BS": "I;32S", "I;16BS": "I;16S"}
    mended = []
    for tile in image.tile:
        raw = _raw_mode(tile).replace("RGBa;16", "RGBA;16")
        if tile[0] == "libtiff" and not _BIG:
            raw = native.get(raw, raw)
        mended.append(_with_raw_mode(tile, raw) if raw != _raw_mode(tile) else tile)
    image.tile = mended


def lower_bytes(image: Image.Image) -> Image.Image | None:
    """Return the lower bytes of the 16-bit colours of an image that is not yet decoded; None if it has no file.

    Pillow reads the upper byte of each number, so with the byte order reversed it reads the lower one.
    """
    if not isinstance(image, ImageFile.ImageFile):
        return None
    is_grey = any(_raw_mode(tile).startswith("LA;16") for tile in image.tile)
    image.tile = [_with_raw_mode(tile, "RGBA" if is_grey else _turned(_raw_mode(tile))) for tile in image.tile]
    image.load()
    if is_grey:  # both bytes of the grey, then both of the opacity
        lower = image.getchannel(1)
        return Image.merge("RGB", (lower, lower, lower))
    return image.convert("RGB")


def joined(strip: Image.Image, lower: Image.Image, top: int) -> NDArray[np.uint16]:
    """Return the 16-bit colours ``(H, W, 3)`` of a strip of the upper bytes that begins at the row ``top``."""
    upper = np.asarray(strip)[..., :3].astype(np.uint16)
    part = np.asarray(lower.crop((0, top, lower.width, top + strip.height)))
    whole: NDArray[np.uint16] = (upper << 8) | part
    return whole


def _raw_mode(tile: Any) -> str:
    args = tile[3]
    return str(args if isinstance(args, str) else args[0] if args else "")


def _with_raw_mode(tile: Any, raw: str) -> Any:
    return tile._replace(args=raw if isinstance(tile[3], str) else (raw, *(tile[3] or ())[1:]))


def _turned(raw: str) -> str:
    return raw.replace(raw[-4:], _TURNED.get(raw[-4:], raw[-4:]))
