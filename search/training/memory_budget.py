"""Memory of the host: freed memory stays with the process, and caches have a budget in bytes."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
import torch

from search.errors import UserError

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@cache
def keep_memory() -> bool:
    """Make the C library keep freed memory for the next step; return whether it does.

    glibc returns every block above 32 MB to the system at once, so that each activation of each step is mapped, zeroed
    and faulted in again, which takes a good part of a CPU training step on large feature maps.
    ``FTSEARCH_KEEP_MEMORY=0`` turns this off. Other C libraries are left alone.
    """
    if os.environ.get("FTSEARCH_KEEP_MEMORY") == "0":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return bool(library.mallopt(_MMAP_MAX, 0)) and bool(library.mallopt(_TRIM_THRESHOLD, -1))


@dataclass(frozen=True, slots=True)
class Budgets:
    """Bytes that cached features may take in each place."""

    device: int
    host: int
    disk: int


def budgets(device: torch.device, folder: Path | None) -> Budgets:
    """Return the machine's current budgets: 30 % of free device memory, a quarter of free memory and disk.

    ``FTSEARCH_DEVICE_BUDGET``, ``FTSEARCH_HOST_BUDGET`` and ``FTSEARCH_DISK_BUDGET`` (``8GB``) override them.

    Raises:
        UserError: a variable is not a size.
    """
    on_device = int(0.3 * torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else 0
    on_disk = 0 if folder is None else _free(folder) // 4
    return Budgets(
        _given("FTSEARCH_DEVICE_BUDGET", on_device),
        _given("FTSEARCH_HOST_BUDGET", psutil.virtual_memory().available // 4),
        _given("FTSEARCH_DISK_BUDGET", on_disk) if folder is not None else 0,
    )


def parse_size(text: str) -> int:
    """Return the bytes of ``8GB``, ``500 MiB`` or a plain number; units are powers of 1024.

    Raises:
        ValueError: the text is not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected a size such as 8GB or 500MB, got {text!r}")
    return int(float(match[1]) * _FACTORS[match[2].lower()])


def _given(variable: str, otherwise: int) -> int:
    text = os.environ.get(variable)
    if not text:
        return otherwise
    try:
        return parse_size(text)
    except ValueError as error:
        raise UserError(f"{variable}: {error}") from error


def _free(folder: Path) -> int:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free
