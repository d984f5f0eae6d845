"""Loads what several tests use by its path: test folders are not packages."""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]


@cache
def module_at(path: str) -> Any:
    """Return the module at ``path``, relative to ``tests``; each process loads it once."""
    name = f"by_path.{path.removesuffix('.py').replace('/', '.')}"
    spec = spec_from_file_location(name, TESTS / path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = module_from_spec(spec)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
