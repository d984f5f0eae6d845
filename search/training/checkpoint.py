"""Checkpoints: safetensors with their facts inside, written so that a crash leaves the one before whole.

A file is written under a temporary name, synced and renamed; its name ends in the first 16 digits of its
content's SHA-256, so a damaged one is recognised and the one before is taken.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from search.errors import TrialError
from search.records import Json

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Tensors by name and what belongs to them, as plain data."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Json]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors under ``prefix`` with the prefix cut off."""
        return {name[len(prefix) :]: tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}


def write(folder: Path, stem: str, checkpoint: Checkpoint) -> Path:
    """Write ``folder/stem-<hash>.safetensors`` and return its path.

    Raises:
        TrialError: the folder cannot be written or the disk is full; nothing half-written is left.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    content = save(tensors, metadata={"facts": json.dumps(dict(checkpoint.facts))})
    path = folder / f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}.safetensors"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    except OSError as error:
        reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or str(error)
        raise TrialError(
            f"cannot write the checkpoint {path}: {reason}; free space or choose another folder", "disk"
        ) from error
    return path


def read(path: Path) -> Checkpoint:
    """Read a checkpoint and check it against the hash in its name.

    Raises:
        TrialError: the file is missing or damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TrialError(f"cannot read the checkpoint {path}: {error.strerror}", "disk") from error
    if not path.stem.endswith(hashlib.sha256(content).hexdigest()[:16]):
        raise TrialError(f"the checkpoint {path} is damaged: its content does not match the hash in its name", "disk")
    try:
        length = int.from_bytes(content[:8], "little")
        facts = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["facts"])
        return Checkpoint(load(content), facts)
    except (SafetensorError, ValueError, KeyError) as error:
        raise TrialError(f"the checkpoint {path} is no checkpoint of ftsearch: {error}", "disk") from error


def write_rolling(folder: Path, epoch: int, checkpoint: Checkpoint) -> Path:
    """Write the checkpoint of ``epoch`` and remove all but it and the one before."""
    path = write(folder, f"epoch-{epoch:05d}", checkpoint)
    for old in _rolling(folder)[2:]:
        old.unlink(missing_ok=True)
    return path


def read_newest(folder: Path) -> Checkpoint | None:
    """Return the newest whole checkpoint that ``write_rolling`` left in ``folder``; None when there is none."""
    for path in _rolling(folder):
        try:
            return read(path)
        except TrialError as error:
            logger.warning("%s; trying the one before", error)
    return None


def remove_rolling(folder: Path) -> None:
    """Remove what ``write_rolling`` left; the folder too when nothing else is in it."""
    for path in _rolling(folder):
        path.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _rolling(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.safetensors"), reverse=True)


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-", suffix=path.suffix)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
