"""Validation images as small pictures inside a page.

The store, which many can write to, names the files, but the page is made with the rights of its maker. So a file is
shown only if its content is what the store says: whoever knows that has the file already.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from search.data.decoding import read_small
from search.data.images import FileImage

PIXELS = 128
_LARGEST = 1 << 28
"""Bytes of a file that is looked at."""


def thumbnail(path: str, content: str, pixels: int = PIXELS) -> Image.Image | None:
    """Return the image file at ``path`` in RGB, upright, its longer side at most ``pixels``; None if there is none.

    A file that moved, is broken, of an unknown kind, or has another hash than ``content`` counts as none: pages say so.
    """
    try:
        known = Path(path)
        if not content or not known.is_file() or known.stat().st_size > _LARGEST:
            return None
        return read_small(known, pixels) if FileImage(known).digest().hex() == content else None
    except (OSError, ValueError):  # names that no file system takes, among others
        return None


def data_uri(image: Image.Image) -> str:
    """Return ``image`` as a JPEG in a data URI."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def picture(path: str, content: str) -> str | None:
    """Return the image file at ``path`` as a small JPEG in a data URI; None as for ``thumbnail``."""
    small = thumbnail(path, content)
    return None if small is None else data_uri(small)
