"""Versions of the packages that results depend on."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata

PACKAGES = ("ftsearch", "torch", "torchvision", "optuna", "sqlalchemy", "numpy", "pillow")


def versions() -> Mapping[str, str]:
    """Return them by name of the package, Python's own first."""
    numbers = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            numbers[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            numbers[package] = "not installed"
    return numbers
