"""Validation images as small pictures inside a page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image, ImageOps

PIXELS = 128


def thumbnail(path: str, pixels: int = PIXELS) -> Image.Image | None:
    """Return the image file at ``path`` in RGB, upright, its longer side at most ``pixels``; None when there is none.

    A file that moved, is broken or of a kind that Pillow does not know is none: pages then say it in words.
    """
    try:
        if not Path(path).is_file():
            return None
        with Image.open(path) as image:
            image.draft("RGB", (2 * pixels, 2 * pixels))
            small = ImageOps.exif_transpose(image).convert("RGB")
            small.thumbnail((pixels, pixels))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return small


def data_uri(image: Image.Image) -> str:
    """Return ``image`` as a JPEG in a data URI."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def picture(path: str, pixels: int = PIXELS) -> str | None:
    """Return the image file at ``path`` as a small JPEG in a data URI; None when there is none that can be decoded."""
    found = thumbnail(path, pixels)
    return None if found is None else data_uri(found)
