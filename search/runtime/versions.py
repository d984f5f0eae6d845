"""Versions of what results depend on."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata

PACKAGES = ("ftsearch", "torch", "torchvision", "optuna", "sqlalchemy", "numpy", "pillow")


def versions() -> Mapping[str, str]:
    """Return the versions of what results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
