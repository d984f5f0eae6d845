"""Checkpoints: safetensors files with metadata, written so that a crash leaves the previous one intact.

They are kept in an artifact store (``search.artifacts``): a folder or a bucket. A name ends in the first 16 digits of
its content's SHA-256, so that damage is detected and the previous checkpoint used.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from search.artifacts.stores import ArtifactStore, Folder
from search.data.transfer import fetched
from search.errors import TrialError
from search.records.study import Json

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Tensors by name, and facts about them as plain data."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Json]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors under ``prefix``, with the prefix removed."""
        return {name[len(prefix) :]: tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}


def put(artifact_store: ArtifactStore, stem: str, checkpoint: Checkpoint) -> str:
    """Keep ``checkpoint`` on ``artifact_store`` as ``stem-<hash>.safetensors`` and return that name.

    Raises:
        TrialError: the place cannot be written or is full; nothing half-written is left.
    """
    tensors = {name: tensor.contiguous() for name, tensor in fetched(checkpoint.tensors).items()}
    content = save(tensors, metadata={"facts": json.dumps(dict(checkpoint.facts))})
    name = f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}.safetensors"
    artifact_store.put(name, content)
    return name


def get(artifact_store: ArtifactStore, name: str) -> Checkpoint:
    """Return the checkpoint of that ``name``, checked against the hash in it.

    Raises:
        TrialError: it is missing or damaged.
    """
    return _decoded(artifact_store.get(name), Path(artifact_store.address) / name)


def write(folder: Path, stem: str, checkpoint: Checkpoint) -> Path:
    """Write ``folder/stem-<hash>.safetensors`` and return its path; raises as ``put``."""
    return folder / put(Folder(folder), stem, checkpoint)


def read(path: Path) -> Checkpoint:
    """Read the checkpoint at ``path``; raises as ``get``."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TrialError(f"cannot read the checkpoint {path}: {error.strerror}", "disk") from error
    return _decoded(content, path)


def _decoded(content: bytes, path: Path) -> Checkpoint:
    if not path.stem.endswith(hashlib.sha256(content).hexdigest()[:16]):
        raise TrialError(f"the checkpoint {path} is damaged: its content does not match the hash in its name", "disk")
    try:
        length = int.from_bytes(content[:8], "little")
        facts = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["facts"])
        return Checkpoint(load(content), facts)
    except (SafetensorError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise TrialError(f"the checkpoint {path} is not a checkpoint of ftsearch: {error}", "disk") from error


@dataclass(slots=True)
class Rolling:
    """The checkpoints from which an interrupted training resumes: the newest and the one before.

    Attributes:
        begin: prefix of their names.
        names: of existing checkpoints, the newest first; a worker that takes over reads them from the store and uses
            only those with the prefix.
        on_change: called with the names whenever they change, before an old one is removed.
    """

    artifact_store: ArtifactStore
    begin: str
    names: tuple[str, ...] = ()
    on_change: Callable[[tuple[str, ...]], None] = lambda _: None

    def __post_init__(self) -> None:
        self.names = tuple(name for name in self.names if name.startswith(self.begin))

    @classmethod
    def in_folder(cls, folder: Path) -> Rolling:
        """Return the checkpoints in a folder of their own."""
        names = sorted((path.name for path in folder.glob("epoch-*.safetensors")), reverse=True)
        return cls(Folder(folder), "", tuple(names))

    def save(self, epoch: int, checkpoint: Checkpoint) -> None:
        """Keep the checkpoint of ``epoch`` and the previous one; remove all others.

        If the store is full or unreachable, the trial merely cannot be resumed from here; that is logged.
        """
        try:
            name = put(self.artifact_store, f"{self.begin}epoch-{epoch:05d}", checkpoint)
        except TrialError as error:
            logger.warning("%s; going on without it", error)
            return
        former = [known for known in self.names if known != name]
        self.names = (name, *former[:1])
        self.on_change(self.names)
        for old in former[1:]:
            self._forget(old)

    def newest(self) -> Checkpoint | None:
        """Return the newest intact checkpoint; None if there is none."""
        for name in self.names:
            try:
                return get(self.artifact_store, name)
            except TrialError as error:
                logger.warning("%s; trying the one before", error)
        return None

    def remove(self) -> None:
        """Remove all of them, and what a worker that died left beside them."""
        try:
            self.artifact_store.remove_all(self.begin or "epoch-")
        except TrialError as error:
            logger.warning("%s", error)
        self.names = ()

    def _forget(self, name: str) -> None:
        try:
            self.artifact_store.remove(name)
        except TrialError as error:
            logger.warning("%s", error)


def write_rolling(place: Path | Rolling, epoch: int, checkpoint: Checkpoint) -> None:
    """Keep the checkpoint of ``epoch`` in ``place`` for resuming."""
    _rolling(place).save(epoch, checkpoint)


def read_newest(place: Path | Rolling) -> Checkpoint | None:
    """Return the newest intact checkpoint that ``write_rolling`` left in ``place``; None if there is none."""
    return _rolling(place).newest()


def remove_rolling(place: Path | Rolling) -> None:
    """Remove what ``write_rolling`` left, and the folder if it is then empty."""
    _rolling(place).remove()
    if isinstance(place, Path) and place.is_dir() and not any(place.iterdir()):
        place.rmdir()


def _rolling(place: Path | Rolling) -> Rolling:
    return place if isinstance(place, Rolling) else Rolling.in_folder(place)
