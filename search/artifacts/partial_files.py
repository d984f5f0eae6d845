"""Files being written: their temporary names identify the writer, so that those of a dead one are recognised.

A killed process cannot clean up after itself. Its temporary files carry its machine, process id and start time, so that
others can tell them from files that are still being written.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psutil

PREFIX = ".partial-"
_STRANGERS_S = 24 * 3600.0
"""Age at which a file of another machine or an older version counts as abandoned: no write takes that long."""
_CLOCK_S = 5.0
"""Seconds by which two readings of a process's start time may differ."""


def name_for(suffix: str = "") -> str:
    """Return a new name for a temporary file of this process."""
    return f"{PREFIX}{_machine()}-{os.getpid()}-{_start(os.getpid()):.0f}-{secrets.token_hex(4)}{suffix}"


@contextmanager
def whole(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """Yield a new, empty file beside ``path``, whose folder exists, that replaces it if the block succeeds.

    Its permissions are ``mode`` as the process's umask and the folder allow: several users may share a folder.

    Raises:
        OSError: it cannot be written; ``path`` is unchanged.
    """
    temporary = path.parent / name_for(path.suffix)
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode))
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write(path: Path, content: bytes) -> None:
    """Write ``content`` durably to ``path``, whose folder exists: all of it or, with an ``OSError``, nothing."""
    with whole(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def is_left(path: Path) -> bool:
    """Return whether the temporary file or folder at ``path`` belongs to no living process."""
    fields = path.name.partition(PREFIX)[2].split("-")
    try:
        if len(fields) >= 4 and fields[0] == _machine():
            return not _lives(int(fields[1]), float(fields[2]))
        return time.time() - path.stat().st_mtime > _STRANGERS_S
    except (OSError, ValueError):
        return False


def sweep(folder: Path, pattern: str = f"{PREFIX}*") -> int:
    """Remove what dead processes left in ``folder`` under names of this ``pattern``; return the number of removals."""
    removed = 0
    try:
        leftovers = [path for path in folder.glob(pattern) if is_left(path)]
    except OSError:
        return 0
    for path in leftovers:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError:  # another process was faster, or it is another user's
            continue
        removed += 1
    return removed


@cache
def _machine() -> str:
    """Return a name of this machine, or container, without the characters that separate parts of a file name."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _start(process: int) -> float:
    return float(psutil.Process(process).create_time())


def _lives(process: int, start: float) -> bool:
    try:
        return abs(_start(process) - start) < _CLOCK_S and psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # it exists, and is not ours
        return True
