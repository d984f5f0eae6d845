"""Memory-mapped arrays on disk: written once by whichever process comes first, verified on opening, size-limited."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import DTypeLike, NDArray

from search.artifacts import partial_files

Array = NDArray[Any]
Facts = Mapping[str, Any]
_BLOCK, _BLOCKS = 1 << 16, 64
_ARRAY, _LOCK = ".npy", ".lock"


@dataclass(frozen=True, slots=True)
class ArrayCache:
    """A folder of named arrays shared by all processes on a machine.

    Attributes:
        budget_bytes: above it the least recently opened arrays are evicted; None: a quarter of the disk.
    """

    folder: Path
    budget_bytes: int | None = None

    def find(self, name: str) -> tuple[Array, Facts] | None:
        """Return the array called ``name`` with the facts stored beside it; None if it is missing or incomplete."""
        path = self._path(name)
        facts = _whole(path)
        if facts is None:
            return None
        try:
            os.utime(path)
            # A private mapping: torch wants writable memory, and nothing written would ever reach the file.
            return np.load(path, mmap_mode="c"), facts
        except (OSError, ValueError):
            return None  # evicted by another process just now

    def make(
        self, name: str, shape: tuple[int, ...], dtype: DTypeLike, fill: Callable[[Array], Facts]
    ) -> tuple[Array, Facts]:
        """Return the array called ``name``; one process writes it with ``fill`` while all others wait.

        Raises:
            OSError: the folder cannot be written, or there is no space; nothing half-written is left.
        """
        path = self._path(name)
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}{_LOCK}"):
            cached = self.find(name)
            if cached is None:
                self._write(path, shape, np.dtype(dtype), fill)
                cached = self.find(name)
        if cached is None:
            raise OSError(errno.EIO, f"{path.name} cannot be read back")
        return cached

    @property
    def budget(self) -> int:
        """Bytes that all arrays together may take."""
        return self.budget_bytes if self.budget_bytes is not None else shutil.disk_usage(self.folder).total // 4

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{_ARRAY}"

    def _write(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], fill: Callable[[Array], Facts]) -> None:
        size = int(np.prod(shape)) * dtype.itemsize
        self._evict(path, self.budget - size)
        self._sweep_beside()
        with partial_files.whole(path) as temporary:
            array = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
            # Reserve the space first: writing to a mapping on a full disk would kill the process.
            with temporary.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, temporary.stat().st_size)
            facts = fill(array)
            array.flush()
            del array
            meta = {"bytes": temporary.stat().st_size, "check": _check(temporary), "facts": dict(facts)}
        with partial_files.whole(_meta(path)) as temporary:
            temporary.write_text(json.dumps(meta))

    def _evict(self, keep: Path, budget: int) -> None:
        """Evict the least recently opened arrays until all of them, those being written included, fit in ``budget``."""
        partial_files.sweep(self.folder)
        files = sorted(
            (path for path in self.folder.glob(f"*{_ARRAY}") if path != keep and not path.name.startswith(".")),
            key=lambda path: path.stat().st_mtime,
        )
        total = sum(_size(path) for path in (*files, *self.folder.glob(f"{partial_files.PREFIX}*")))
        for path in files:
            if total <= budget:
                return
            total -= _size(path)
            for part in (path, _meta(path)):
                part.unlink(missing_ok=True)

    def _sweep_beside(self) -> None:
        """Remove locks and facts whose arrays were evicted, or were being evicted when the process died.

        A process that waits for such a lock right now may write the same array as the next one: the last write wins.
        """
        beside = (*self.folder.glob(f"*{_ARRAY}{_LOCK}"), *self.folder.glob("*.json"))
        for path in {self._path(path.name.partition(".")[0]) for path in beside if not path.name.startswith(".")}:
            if not path.exists():
                with suppress(Timeout, OSError), FileLock(f"{path}{_LOCK}", timeout=0):
                    if not path.exists():
                        _meta(path).unlink(missing_ok=True)
                        Path(f"{path}{_LOCK}").unlink(missing_ok=True)


def why(error: OSError) -> str:
    """Return why a file could not be written, in words."""
    return "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or str(error)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # just removed by another process
        return 0


def _meta(path: Path) -> Path:
    return path.with_suffix(".json")


def _whole(path: Path) -> Facts | None:
    """Return the facts of a file whose content is as written (its size, and 64 blocks of it, are compared)."""
    try:
        meta = json.loads(_meta(path).read_text())
        if path.stat().st_size != meta["bytes"] or _check(path) != meta["check"]:
            return None
        facts: Facts = meta["facts"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return facts


def _check(path: Path) -> str:
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in range(_BLOCKS):
            file.seek(size * block // _BLOCKS)
            digest.update(file.read(_BLOCK))
    return digest.hexdigest()
