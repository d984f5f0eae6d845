"""Validation images as small pictures inside a page.

The store, which many can write to, names the files, but the page is made with the rights of its maker. So a file is
shown only if its content is what the store says: whoever knows that has the file already. The digits that every
scikit-learn brings have no file and are shown too.
"""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

from PIL import Image

from search.data.decoding import read_small
from search.data.formats import digits
from search.data.images import FileImage

PIXELS = 128
_DIGIT = re.compile(r"digits\[(\d{1,6})\]")
_LARGEST = 1 << 28
"""Bytes of a file that is looked at."""


def thumbnail(path: str, content: str, pixels: int = PIXELS) -> Image.Image | None:
    """Return the image file at ``path``, or the digit of that name, in RGB, upright; None if there is none.

    Its longer side has at most ``pixels``.

    A file that moved, is broken, of an unknown kind, or has another hash than ``content`` counts as none: pages say so.
    """
    if digit := _DIGIT.fullmatch(path):
        return _digit(int(digit[1]), content, pixels)
    try:
        known = Path(path)
        if not content or not known.is_file() or known.stat().st_size > _LARGEST:
            return None
        return read_small(known, pixels) if FileImage(known).digest().hex() == content else None
    except (OSError, ValueError):  # names that no file system takes, among others
        return None


def _digit(index: int, content: str, pixels: int) -> Image.Image | None:
    stored = digits.image(index)
    try:
        if stored.digest().hex() != content:
            return None
    except IndexError:
        return None
    return stored.open().resize((pixels, pixels), Image.Resampling.NEAREST)  # eight pixels, to be seen as such


def data_uri(image: Image.Image) -> str:
    """Return ``image`` as a JPEG in a data URI."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def picture(path: str, content: str) -> str | None:
    """Return the image file at ``path`` as a small JPEG in a data URI; None as for ``thumbnail``."""
    small = thumbnail(path, content)
    return None if small is None else data_uri(small)
