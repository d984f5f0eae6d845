"""Images from files and from memory, always as RGB."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from search.data import decoding
from search.data.decoding import Levels
from search.records.plain_text import printable

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".jfif")


@dataclass(frozen=True, slots=True)
class FileImage:
    """An image file; ``levels`` is the intensity range of the data set if its images have more than 8 bits."""

    path: Path
    levels: Levels | None = None

    @property
    def name(self) -> str:
        return printable(self.path)

    def open(self) -> Image.Image:
        """Return the whole image, decoded and upright. Raises OSError or ValueError if it is broken."""
        return decoding.read(self.path, self.levels)

    def digest(self) -> bytes:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image of an indexed data set, returned by ``fetch``."""

    dataset: str
    index: int
    fetch: Callable[[int], Image.Image]

    @property
    def name(self) -> str:
        return f"{self.dataset}[{self.index}]"

    def open(self) -> Image.Image:
        return decoding.to_rgb(self.fetch(self.index))

    def digest(self) -> bytes:
        image = self.fetch(self.index)
        return hashlib.sha256(f"{image.mode}{image.size}".encode() + image.tobytes()).digest()


def is_there(path: Path) -> bool:
    """Return whether ``path`` is a file; False for names that no file system accepts, as tables may hold."""
    try:
        return path.is_file()
    except OSError:
        return False


def located(folder: Path, name: str) -> Path:
    """Return the file in ``folder`` that a data set calls ``name``, which Windows may have written with backslashes."""
    path = folder / name
    return path if "\\" not in name or is_there(path) else folder / name.replace("\\", "/")
