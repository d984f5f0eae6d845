"""Versions of the packages that results depend on."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from importlib import metadata

PACKAGES = ("ftsearch", "torch", "torchvision", "optuna", "sqlalchemy", "numpy", "pillow")


def versions() -> Mapping[str, str]:
    """Return the versions by package name, Python's first."""
    return {"python": platform.python_version(), **{package: _version(package) for package in PACKAGES}}


@cache  # every trial stores the versions, and reading them parses the metadata of each package
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
