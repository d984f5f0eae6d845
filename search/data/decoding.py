"""Image files decoded upright and within a memory budget, whatever their mode, depth and metadata."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from search.data import deep_colours

Levels = tuple[float, float]
"""The values that are black and white in images of more than 8 bits."""
BUDGET = 1 << 30
"""Bytes that all decoding threads of a process may use together."""
LARGE = 1 << 26
"""Pixels above which a picture is reduced while it is decoded: 8192x8192, far more than networks take."""
_FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TGA", "TIFF", "WEBP")
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = (5, 6, 7, 8)
_STRIP = 1 << 22
"""Pixels that are converted at a time."""
_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
"""Bytes per pixel of Pillow's images; 4 for all other modes, RGB among them."""
_DEPTHS = (8, 10, 12, 14, 16, 24, 32)

# Pillow warns about large pictures and odd metadata; here the former are decoded within the budget or refused, and
# the latter do no harm.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@cache
def formats() -> tuple[str, ...]:
    """Return the formats that may be decoded, whatever a file is called, as ``Image.open`` takes them.

    Only those that this process decodes itself: EPS, a PostScript program, would be run by Ghostscript.
    """
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


class Memory:
    """A byte budget shared by threads, which never hold more than ``total`` together."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def taking(self, size: int) -> Iterator[None]:
        """Hold ``size`` bytes, at most ``total``; blocks until other threads have released enough."""
        with self._changed:
            self._changed.wait_for(lambda: self._taken + size <= self.total)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()


_memory = Memory(BUDGET)
_DEEP_COLOUR = "ftsearch: deep colour"
"""In ``Image.info``: whether the file has colours of 16 bits."""


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open an image file without decoding its pixels.

    Raises:
        OSError, ValueError: it cannot be read, here or while it is decoded. Nothing else, although Pillow's readers
            raise errors of many kinds when a file is damaged.
    """
    try:
        # Not by name: Pillow forgets to rotate files that it maps into memory.
        with path.open("rb") as file, Image.open(file, formats=formats()) as image:
            deep_colours.mend(image)
            yield image
    except UnidentifiedImageError as error:
        raise ValueError("not an image, or of an unknown format") from error
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise ValueError(f"more than {limit:,} pixels; save it smaller, or cut it into pieces") from error
    except (OSError, ValueError):
        raise
    except Exception as error:
        raise ValueError(f"a damaged image file ({type(error).__name__}: {error})") from error


@contextmanager
def decoded(
    path: Path, further: int = 0, side: int | None = None
) -> Iterator[tuple[Image.Image, Image.Transpose | None]]:
    """Decode an image file as stored, and yield it with the transposition that makes it upright.

    Args:
        further: bytes per pixel that the caller needs beside the picture and its copy in RGB.
        side: pixels per side that suffice; a JPEG is decoded no larger than needed for them.

    Raises:
        OSError, ValueError: it cannot be read, or decoding it would take more memory than ``BUDGET``.
    """
    with opened(path) as image:
        # Read first: it is gone once the image is decoded, and reading the Exif of a PNG decodes it.
        has_deep_colour = deep_colours.is_deep_colour(image)
        if image.format in ("JPEG", "MPO"):
            factor = reduction(image.size)
            if side is not None or factor > 1:
                wanted = (image.width // factor, image.height // factor)
                image.draft(None, wanted if side is None else (min(side, wanted[0]), min(side, wanted[1])))
        turn = None if image.format == "TIFF" else _TURNS.get(orientation(image))
        pixels, copies = image.width * image.height, 1 if turn is None and orientation(image) == 1 else 2
        size = pixels * (_BYTES.get(image.mode, 4) * copies + further)
        if has_deep_colour:
            size += 4 * pixels  # the lower bytes
        if image.mode != "RGB" or pixels > LARGE:
            size += 4 * min(pixels, LARGE)  # what it is converted into
        if size > _memory.total:
            raise ValueError(
                f"{image.width}x{image.height} pixels would take about {size >> 20} MB to decode, more than the "
                f"{_memory.total >> 20} MB that are allowed; save it smaller"
            )
        with _memory.taking(size):
            image.load()
            image.info[_DEEP_COLOUR] = has_deep_colour
            yield image, turn


def orientation(image: Image.Image) -> int:
    """Return an image's EXIF or XMP orientation, 1 to 8; 1 if there is none or it is invalid."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001  # odd metadata end in errors of every kind, and the picture is sound all the same
        return 1
    return value if isinstance(value, int) and value in _TURNS else 1


def upright_size(path: Path) -> tuple[int, int]:
    """Return width and height of an upright image file, read from its header.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    with opened(path) as image:
        width, height = image.size
        is_turned = orientation(image) in _ON_ITS_SIDE
        if image.format == "TIFF":  # Pillow gives the upright size if the file has an orientation tag
            is_turned = is_turned and getattr(image, "tag_v2", {}).get(_ORIENTATION) not in _ON_ITS_SIDE
        return (height, width) if is_turned else (width, height)


def read(path: Path, levels: Levels | None = None) -> Image.Image:
    """Return an image file as upright 8-bit RGB, downscaled by an integer factor beyond ``LARGE`` pixels.

    ``levels`` are those of the data set, if its images have more than 8 bits.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    with decoded(path) as (image, turn):
        upright = to_rgb(image, levels, _lower_bytes(image, path))
        return upright if turn is None else upright.transpose(turn)


def read_small(path: Path, side: int) -> Image.Image:
    """Return an image file as upright 8-bit RGB, its longer side at most ``side`` pixels.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    with decoded(path, side=2 * side) as (image, turn):
        upright = to_rgb(image, lower=_lower_bytes(image, path))
        upright.thumbnail((side, side))
        return upright if turn is None else upright.transpose(turn)


def to_rgb(image: Image.Image, levels: Levels | None = None, lower: Image.Image | None = None) -> Image.Image:
    """Return ``image`` in 8-bit RGB; deeper images are scaled from ``levels``.

    ``lower`` are the lower bytes of 16-bit colours whose upper bytes are ``image``. Without levels, 16 bits range
    from 0 to 65535, and fractions from 0 to 1, 255 or 65535, the smallest range that holds them.
    """
    factor = reduction(image.size)
    if factor == 1 and image.mode == "RGB" and lower is None:
        image.load()
        return image
    if is_deep(image) and levels is None:
        levels = _usual_levels(image)
    size = (-(-image.width // factor), -(-image.height // factor))
    rgb = Image.new("RGB", size)
    for top, strip in _strips(image, factor):
        if lower is not None:
            part = _scaled(deep_colours.joined(strip, lower, top), levels or (0.0, 65535.0))
        else:
            part = _scaled(np.asarray(strip), levels) if is_deep(image) and levels is not None else _plain(strip)
        rgb.paste(part.reduce(factor) if factor > 1 else part, (0, top // factor))
    return rgb


def reduction(size: tuple[int, int]) -> int:
    """Return the integer factor that brings an image down to at most ``LARGE`` pixels."""
    factor = 1
    while (-(-size[0] // factor)) * (-(-size[1] // factor)) > LARGE:
        factor += 1
    return factor


def is_deep(image: Image.Image) -> bool:
    """Return whether an image has a single channel of more than 8 bits."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def deep_extremes(path: Path) -> tuple[Levels, bool] | None:
    """Return the ``extremes`` of an image file of more than 8 bits and whether it is floating-point; else None.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    with opened(path) as image:
        if not is_deep(image) and not deep_colours.is_deep_colour(image):
            return None
    with decoded(path) as (image, _):
        if not is_deep(image) and (lower := _lower_bytes(image, path)) is not None:
            colours = [deep_colours.joined(strip, lower, top) for top, strip in _strips(image, 1)]
            return (float(min(part.min() for part in colours)), float(max(part.max() for part in colours))), False
        bounds = extremes(image)
        return None if bounds is None else (bounds, image.mode == "F")


def extremes(image: Image.Image) -> Levels | None:
    """Return the smallest and largest finite value of an image; None if there is none."""
    lows, highs = [], []
    for _, strip in _strips(image, 1):
        pixels = np.asarray(strip)
        pixels = pixels[np.isfinite(pixels)]
        if pixels.size:
            lows.append(float(pixels.min()))
            highs.append(float(pixels.max()))
    return (min(lows), max(highs)) if lows else None


def levels_of(samples: Sequence[tuple[Levels, bool]]) -> Levels | None:
    """Return one intensity range for all images with these ``deep_extremes``, so that dark images stay dark.

    Whole numbers go up to the largest of their depth (of 12 bits: 4095), fractions up to 1, to 255, or to the
    largest value. Black is 0, or the smallest value if some are negative. None if there is no image.
    """
    if not samples:
        return None
    low, high = min(pair[0] for pair, _ in samples), max(pair[1] for pair, _ in samples)
    if low < 0:
        return low, max(high, low + 1e-6)
    if any(fractions for _, fractions in samples):
        return 0.0, 1.0 if high <= 1 else 255.0 if 128 <= high <= 255 else high
    return 0.0, float(next(2**bits - 1 for bits in _DEPTHS if high <= 2**bits - 1 or bits == _DEPTHS[-1]))


def _lower_bytes(upper: Image.Image, path: Path) -> Image.Image | None:
    """Return the lower bytes of a file's 16-bit colours whose upper bytes ``decoded`` gives; None for other files."""
    if not upper.info.get(_DEEP_COLOUR):
        return None
    with opened(path) as image:
        return deep_colours.lower_bytes(image)


def _usual_levels(image: Image.Image) -> Levels:
    low, high = extremes(image) or (0.0, 0.0)
    if image.mode == "F" and high <= 255:
        return min(low, 0.0), 1.0 if high <= 1 else 255.0
    return min(low, 0.0), 65535.0


def _strips(image: Image.Image, multiple: int) -> Iterator[tuple[int, Image.Image]]:
    """Yield an image in strips of about ``_STRIP`` pixels, each with its top row, a multiple of ``multiple``."""
    rows = max(_STRIP // max(image.width, 1) // multiple, 1) * multiple
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _scaled(pixels: NDArray[Any], levels: Levels) -> Image.Image:
    black, white = levels
    pixels = np.nan_to_num(pixels.astype(np.float64), nan=black, posinf=white, neginf=black)
    grey = np.rint((pixels - black) * (255.0 / (white - black))).clip(0, 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _plain(strip: Image.Image) -> Image.Image:
    if strip.mode == "P":
        strip = strip.convert("RGBA" if "transparency" in strip.info else "RGB")
    return strip.convert("RGB")
