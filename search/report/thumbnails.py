"""Validation images as small pictures inside a page.

The store, which many can write to, names the files, but the page is made with the rights of its maker. So only files
below the folders of the study's own data are read, links resolved.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from search.data.decoding import read_small
from search.records.study import StudyRecord

PIXELS = 128
_PLACES = ("path", "root", "images", "masks", "val", "test", "val_root", "test_root")
"""Options of ``data`` that name a file or a folder."""


def roots_of(study: StudyRecord) -> tuple[Path, ...]:
    """Return the folders that hold the study's data, as its study file names them; for a file, its folder."""
    spec = study.spec if isinstance(study.spec, Mapping) else {}
    data = (spec.get("study") or {}).get("data") if isinstance(spec.get("study"), Mapping) else None
    if not isinstance(data, Mapping):
        return ()
    base = Path(str(spec.get("base") or "."))
    named = [_folder(base, str(data[name])) for name in _PLACES if isinstance(data.get(name), str)]
    return tuple(dict.fromkeys(root for root in named if root is not None))


def _folder(base: Path, name: str) -> Path | None:
    """Return the folder that ``name`` refers to; None for the root of the file system, which holds no data."""
    try:
        place = (base / Path(name).expanduser()).resolve()
        folder = place if place.is_dir() else place.parent
    except (OSError, ValueError, RuntimeError):
        return None
    return folder if folder != Path(folder.anchor) else None


def _is_below(path: str, roots: Sequence[Path]) -> bool:
    try:
        place = Path(path).resolve()
        return any(place.is_relative_to(root) for root in roots) and place.is_file()
    except (OSError, ValueError, RuntimeError):  # names that no file system accepts, cyclic links
        return False


def thumbnail(path: str, roots: Sequence[Path], pixels: int = PIXELS) -> Image.Image | None:
    """Return the image file at ``path`` in RGB, upright, its longer side at most ``pixels``; None if there is none.

    A file that moved, is broken, of an unknown kind, or not below one of ``roots`` counts as none: pages describe it.
    """
    if not _is_below(path, roots):
        return None
    try:
        return read_small(Path(path), pixels)
    except (OSError, ValueError):
        return None


def data_uri(image: Image.Image) -> str:
    """Return ``image`` as a JPEG in a data URI."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def picture(path: str, roots: Sequence[Path], pixels: int = PIXELS) -> str | None:
    """Return the image file at ``path`` as a small JPEG in a data URI; None as for ``thumbnail``."""
    small = thumbnail(path, roots, pixels)
    return None if small is None else data_uri(small)
