"""Named points of a worker: before and after every transaction and every change of a file, and within long work.

A point's name says what is done and which function of ftsearch has it done: ``before commit in store.leases._claim``.
It is read from the stack, so that a transaction or a file that is added later is a point without a line here. Only the
workers of a fault run are instrumented; the product knows nothing of it.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

ROOT = str(Path(__file__).parents[3])
COMMIT = "commit"
WRITES = ("fsync", "posix_fallocate", "replace", "rename")
"""Operations that a full disk refuses, or that follow at once on one that it does."""
_FILES = (*WRITES, "unlink")
_BENEATH = frozenset(
    {
        *("search.store.connection", "search.sampling.optuna_storage", "search.artifacts.partial_files"),
        *("search.artifacts.stores", "search.training.checkpoint"),
    }
)
"""Modules that act for others: the point is named after whoever asked them."""


class Reach(Protocol):
    """What happens when a worker comes to the point called ``name``; ``link`` is the driver's connection there."""

    def __call__(self, name: str, link: Any = None) -> None: ...


def install(reach: Reach) -> None:
    """Let this process call ``reach`` at every point from now on."""
    from sqlalchemy.engine.default import DefaultDialect
    from torch.optim.optimizer import register_optimizer_step_post_hook

    from search.data.cache import Frame
    from search.sampling.optuna_study import Sampling
    from search.training import heads

    _around(DefaultDialect, "do_commit", COMMIT, reach, _writer)
    for name in _FILES:
        _around(os, name, name, reach, caller)
    _around(Sampling, "ask", "ask", reach, caller)
    _around(Frame, "render", "decoding", reach, caller)
    _around(heads, "_train", "training of heads", reach, caller)
    register_optimizer_step_post_hook(lambda *_: reach("after step in training.epoch"))


def _around(owner: Any, name: str, operation: str, reach: Reach, where: Callable[[], str | None]) -> None:
    plain = getattr(owner, name)

    @functools.wraps(plain)
    def call(*args: Any, **kwargs: Any) -> Any:
        place = where()
        if place is None:
            return plain(*args, **kwargs)
        link = args[1] if operation == COMMIT else None
        reach(f"before {operation} in {place}", link)
        result = plain(*args, **kwargs)
        reach(f"after {operation} in {place}", link)
        return result

    setattr(owner, name, call)


def caller() -> str | None:
    """Return the function of ftsearch for which is acted; None where it is none of its own."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module.startswith("search.") and module not in _BENEATH:
            return f"{module.removeprefix('search.')}.{frame.f_code.co_qualname.replace('<locals>.', '')}"
        frame = frame.f_back
    return None


def _writer() -> str | None:
    """Return the same for a transaction; None for one that only reads: it leaves nothing half done."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_globals.get("__name__") == "search.store.connection" and frame.f_code.co_name == "reading":
            return None
        frame = frame.f_back
    return caller()
