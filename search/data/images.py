"""Images from files and from memory, as RGB, whatever they are stored as."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from search.data.sample import Source

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".jfif")
_FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TGA", "TIFF", "WEBP")


@cache
def formats() -> tuple[str, ...]:
    """Return the formats that are decoded, whatever a file is called, as ``Image.open`` takes them.

    Only such as this process decodes itself: EPS, a program in PostScript, would be run by Ghostscript.
    """
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@dataclass(frozen=True, slots=True)
class FileImage:
    """An image file."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def open(self) -> Image.Image:
        """Return the whole image, decoded. Raises OSError or ValueError when it is broken."""
        with Image.open(self.path, formats=formats()) as image:
            image.load()
            return to_rgb(ImageOps.exif_transpose(image))

    def digest(self) -> bytes:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image of a data set that gives images by number; ``fetch`` returns it."""

    dataset: str
    index: int
    fetch: Callable[[int], Image.Image]

    @property
    def name(self) -> str:
        return f"{self.dataset}[{self.index}]"

    def open(self) -> Image.Image:
        return to_rgb(self.fetch(self.index))

    def digest(self) -> bytes:
        image = self.fetch(self.index)
        return hashlib.sha256(f"{image.mode}{image.size}".encode() + image.tobytes()).digest()


def is_there(path: Path) -> bool:
    """Return whether ``path`` is a file; False too for a name that no file system takes, as tables may hold one."""
    try:
        return path.is_file()
    except OSError:
        return False


def to_rgb(image: Image.Image) -> Image.Image:
    """Return ``image`` in 8-bit RGB; 16-bit and float pictures keep their whole range of brightness."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        pixels = np.asarray(image, dtype=np.float64)
        top = (
            65535.0
            if image.mode != "F" or pixels.max(initial=0.0) > 255.0
            else 255.0
            if pixels.max(initial=0.0) > 1.0
            else 1.0
        )
        return Image.fromarray((pixels / top * 255.0).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    return image.convert("RGB")


def why_broken(source: Source) -> str:
    """Return why the input cannot be read; empty when it can."""
    try:
        source.open()
    except UnidentifiedImageError:
        return "not an image, or of an unknown format"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return str(error) or type(error).__name__
    return ""
