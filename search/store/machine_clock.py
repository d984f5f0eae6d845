"""One clock for all processes of a machine, since SQLite has no server whose clock they could share.

A process's own time may be faked, or a container's, and whoever sets the machine's clock moves all of them, the
kernel's ``btime`` too. Leases that one worker writes and another judges need a clock that both can read and that only
goes forward: the kernel's seconds since boot, counted from a moment that the first process of a boot writes into the
header of the database.
"""

from __future__ import annotations

import os
import sqlite3
import time
import zlib
from collections.abc import Callable
from pathlib import Path

_UPTIME = Path("/proc/uptime")
_STAT = Path("/proc/stat")
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PROCESSES = Path("/proc/self/ns/pid")
_ZERO = 1_700_000_000
"""What SQLite's ``user_version``, 31 bits, counts seconds from."""


def now() -> float:
    """Return seconds since 1970 by the kernel's clock or, if that cannot be read, by this process's own."""
    try:
        return _boot_time() + _since_boot()
    except (OSError, ValueError, IndexError, StopIteration):
        return time.time()


def steady(connection: sqlite3.Connection, *, may_write: bool) -> Callable[[], float]:
    """Return a clock like ``now`` that all processes with this database share and that nobody can set.

    It is ``now`` itself where the header holds no moment of this boot and cannot be written.
    """
    try:
        boot, begin = _boot(), _boot_time()
        known = _in_header(connection, boot)
        if known is None and may_write:
            known = _put(connection, boot, begin)
        _since_boot()
    except (OSError, ValueError, IndexError, StopIteration, sqlite3.OperationalError):
        return now
    return now if known is None else lambda: known + _since_boot()


def _since_boot() -> float:
    return float(_UPTIME.read_text("ascii").split()[0])


def _boot_time() -> float:
    lines = _STAT.read_text("ascii").splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("btime ")))


def _boot() -> int:
    """Return a number for this boot and, as a container may count seconds of its own, for its processes."""
    return zlib.crc32(f"{_BOOT.read_text('ascii')}{os.readlink(_PROCESSES)}".encode()) & 0x7FFFFFFF or 1


def _in_header(connection: sqlite3.Connection, boot: int) -> float | None:
    """Return the moment that the header holds for this boot."""
    values = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    return float(_ZERO + values[1]) if values[0] == boot else None


def _put(connection: sqlite3.Connection, boot: int, begin: float) -> float:
    """Write the moment into the header, unless another process has just done so, and return it."""
    connection.execute("BEGIN IMMEDIATE").close()
    try:
        known = _in_header(connection, boot)
        if known is None:
            known = float(round(begin))
            connection.execute(f"PRAGMA user_version={round(begin) - _ZERO}").close()
            connection.execute(f"PRAGMA application_id={boot}").close()
    except BaseException:
        connection.execute("ROLLBACK").close()
        raise
    connection.execute("COMMIT").close()
    return known
