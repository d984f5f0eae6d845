"""Paths as a study file gives them."""

from __future__ import annotations

import os
from pathlib import Path


def given_path(base: Path, given: str | Path) -> Path:
    """Return the path ``given``: below ``base`` if it is relative; ``~`` begins in a user's home.

    A home that does not exist is no error: ``~nobody`` is a name as any other.
    """
    return base / Path(os.path.expanduser(given))
