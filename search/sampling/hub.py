"""Samplers of OptunaHub on this machine: ``optunahub:samplers/NAME``.

They are looked up in the folder that ``FTSEARCH_OPTUNAHUB`` names (``package/`` of a copy of the registry, or one like
it), else among installed Python packages. Never on the network, and never in a folder that a study file names: a
sampler is code, and a study file may be a stranger's.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from optuna.samplers import BaseSampler

from search.errors import UserError

PREFIX = "optunahub:"
FOLDER = "FTSEARCH_OPTUNAHUB"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*([./][A-Za-z_][A-Za-z0-9_]*)*")


def make(name: str, seed: int) -> BaseSampler:
    """Return a sampler of ``optunahub:PACKAGE``, seeded if it takes a seed.

    Raises:
        UserError: no such package here, or none or several samplers in it, or one that needs more than a seed.
    """
    kind = _kind(name, os.environ.get(FOLDER, ""))
    seeds: dict[str, Any] = {"seed": seed} if "seed" in inspect.signature(kind).parameters else {}
    try:
        return kind(**seeds)
    except TypeError as error:
        raise UserError(f"sampler {name}: {kind.__name__} cannot be made of a seed alone: {error}") from error


@cache
def _kind(name: str, folder: str) -> type[BaseSampler]:
    package = name.removeprefix(PREFIX)
    if not _NAME.fullmatch(package):
        raise UserError(f"sampler {name!r}: expected {PREFIX}samplers/NAME or {PREFIX}PACKAGE")
    module = _of_folder(package, Path(folder)) if folder else None
    module = module or _installed(package)
    if module is None:
        where = f"in {folder} or " if folder else ""
        raise UserError(
            f"sampler {name}: no package {package!r} {where}among the installed ones; let {FOLDER} name the folder "
            "`package` of a copy of the registry (a run never downloads code)"
        )
    names = getattr(module, "__all__", None) or [one for one in vars(module) if not one.startswith("_")]
    offered: list[Any] = [getattr(module, one, None) for one in names]
    kinds: list[type[BaseSampler]] = [
        one for one in offered if _is_sampler(one) and one.__module__.startswith(module.__name__)
    ]
    if len(kinds) != 1:
        listed = ", ".join(one.__name__ for one in kinds) or "none"
        raise UserError(f"sampler {name}: expected one sampler in the package, found {listed}")
    return kinds[0]


def _of_folder(package: str, folder: Path) -> ModuleType | None:
    if not (folder / package / "__init__.py").is_file():
        return None
    try:
        import optunahub  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise UserError(f"samplers of a folder need optunahub: pip install 'ftsearch[hub]' ({error})") from error
    return _loaded(package, lambda: optunahub.load_local_module(package, registry_root=str(folder)))


def _installed(package: str) -> ModuleType | None:
    dotted = package.replace("/", ".")
    try:
        known = importlib.util.find_spec(dotted)
    except ModuleNotFoundError:
        return None
    return None if known is None else _loaded(package, lambda: importlib.import_module(dotted))


def _loaded(package: str, load: Any) -> ModuleType:
    try:
        module: ModuleType = load()
    except Exception as error:  # a stranger's code may raise anything
        raise UserError(f"sampler {PREFIX}{package} cannot be loaded: {type(error).__name__}: {error}") from error
    return module


def _is_sampler(thing: Any) -> bool:
    return inspect.isclass(thing) and issubclass(thing, BaseSampler) and not inspect.isabstract(thing)
