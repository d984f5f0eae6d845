"""Stores of checkpoints: a folder that all workers can reach, or a bucket. Bytes in, bytes out, by name.

A name is relative and stays below its root. A local write is atomic: temporary name, sync, rename.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from search.artifacts import partial_files
from search.errors import TrialError, UserError
from spaces.errors import first_line

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_CHECKPOINT = re.compile(r"[a-z]+-[0-9]{5,}-[0-9a-f]{16}\.safetensors")
_RESUME, _MARK = "resume-", "artifacts-"
_KEY = re.compile(r"[0-9a-z]{8,64}")
logger = logging.getLogger(__name__)


class ArtifactStore(ABC):
    """Keeps bytes under names such as ``resume-00003/epoch-00002.safetensors``.

    Every method raises ``TrialError`` (kind ``disk``) if the place cannot be reached, and ``UserError`` for a name that
    leads out of it.
    """

    @property
    @abstractmethod
    def address(self) -> str:
        """Where it is, as stored and shown to people."""

    @abstractmethod
    def put(self, name: str, content: bytes) -> None:
        """Keep ``content`` under ``name``: all of it or nothing."""

    @abstractmethod
    def get(self, name: str) -> bytes:
        """Return what is kept under ``name``."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove what is kept under ``name``, if anything."""

    @abstractmethod
    def remove_all(self, begin: str) -> None:
        """Remove all whose names begin with ``begin``."""

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Return the names of everything kept; there may be other files beside it."""

    @abstractmethod
    def sweep_partial(self) -> None:
        """Remove what processes that died while writing left behind."""

    @property
    def is_there(self) -> bool:
        """Whether the place is still the study's: a folder may be removed, or its network share gone."""
        return True


@dataclass(frozen=True, slots=True)
class Folder(ArtifactStore):
    """A folder, of this machine or shared by all of them.

    Attributes:
        key: of the study whose place it is: nothing is written once its mark is gone; empty: the mark is not checked.
    """

    root: Path
    key: str = ""

    @property
    def address(self) -> str:
        return str(self.root.absolute())

    def put(self, name: str, content: bytes) -> None:
        path = self.path(name)
        if not self.is_there:
            raise TrialError(gone(self), "disk")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial_files.write(path, content)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = "the disk is full" if full else error.strerror or str(error)
            raise TrialError(
                f"cannot write the checkpoint {path}: {reason}; free space or choose another folder", "disk"
            ) from error

    def get(self, name: str) -> bytes:
        path = self.path(name)
        try:
            return path.read_bytes()
        except OSError as error:
            raise TrialError(f"cannot read the checkpoint {path}: {error.strerror}", "disk") from error

    def remove(self, name: str) -> None:
        path = self.path(name)
        try:
            path.unlink(missing_ok=True)
            self._remove_empty(path.parent)
        except OSError as error:
            raise TrialError(f"cannot remove the checkpoint {path}: {error.strerror}", "disk") from error

    def remove_all(self, begin: str) -> None:
        folder, _, stem = begin.rpartition("/")
        place = self.path(folder) if folder else self.root
        try:
            for key in list(place.glob(f"{escape(stem)}*")):
                is_folder = key.is_dir() and not key.is_symlink()  # a link's target is somebody else's
                for path in list(key.glob("*")) if is_folder else (key,):
                    path.unlink(missing_ok=True)
                if is_folder:
                    self._remove_empty(key)
            self._remove_empty(place)
        except OSError as error:
            raise TrialError(f"cannot remove checkpoints from {place}: {error.strerror}", "disk") from error

    def names(self) -> tuple[str, ...]:
        try:
            inside = [path for place in self.root.glob(f"{_RESUME}*") if place.is_dir() for path in place.iterdir()]
            listed = [*inside, *(path for path in self.root.glob("*") if path.is_file())]
        except OSError as error:
            raise TrialError(f"cannot list the checkpoints in {self.root}: {error.strerror}", "disk") from error
        names = (path.relative_to(self.root).as_posix() for path in listed)
        return tuple(sorted(name for name in names if _NAME.fullmatch(name)))

    def sweep_partial(self) -> None:
        for place in (self.root, *self.root.glob(f"{_RESUME}*")):
            partial_files.sweep(place)
            self._remove_empty(place)

    @property
    def is_there(self) -> bool:
        return not self.key or (self.root / _mark(self.key)).is_file()

    def _remove_empty(self, place: Path) -> None:
        """Remove the folder ``place`` if it is empty; another process may be faster, or write to it."""
        if place != self.root:
            with suppress(FileNotFoundError, NotADirectoryError):
                if not any(place.iterdir()):
                    with suppress(OSError):
                        place.rmdir()

    def path(self, name: str) -> Path:
        """Return the path of ``name``.

        Raises:
            UserError: it would be outside of the folder, or no path can be.
        """
        path = self.root / checked(name)
        if "\0" in str(path):  # of an address in the store
            raise UserError(f"expected a folder, got {str(self.root)!r}, which no path can be")
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise UserError(f"the artifact name {name!r} leads out of {self.root}; expected one below it")
        return path


class ObjectStorage(Protocol):
    """The operations of a bucket, in the form of Optuna's artifact stores."""

    def open_reader(self, artifact_id: str) -> BinaryIO: ...
    def write(self, artifact_id: str, content_body: BinaryIO) -> None: ...
    def remove(self, artifact_id: str) -> None: ...
    def names(self, prefix: str) -> Iterable[str]: ...


@dataclass(frozen=True, slots=True)
class Bucket(ArtifactStore):
    """A place in object storage, under a prefix."""

    scheme: str
    name: str
    prefix: str
    objects: ObjectStorage

    @property
    def address(self) -> str:
        return f"{self.scheme}://{'/'.join(part for part in (self.name, self.prefix) if part)}"

    def put(self, name: str, content: bytes) -> None:
        self._try("write", name, lambda key: self.objects.write(key, io.BytesIO(content)))

    def get(self, name: str) -> bytes:
        def read(key: str) -> bytes:
            with self.objects.open_reader(key) as body:
                return body.read()

        return bytes(self._try("read", name, read))

    def remove(self, name: str) -> None:
        self._try("remove", name, self.objects.remove)

    def remove_all(self, begin: str) -> None:
        def remove(key: str) -> None:
            for stored in list(self.objects.names(key)):
                self.objects.remove(stored)

        self._try("remove", begin, remove)

    def names(self) -> tuple[str, ...]:
        root = f"{self.prefix}/" if self.prefix else ""
        try:
            keys = [key.removeprefix(root) for key in self.objects.names(root)]
        except Exception as error:  # as in _try
            reason = first_line(error)
            raise TrialError(f"cannot list the checkpoints in {self.address}: {reason}", "disk") from error
        return tuple(sorted(name for name in keys if _NAME.fullmatch(name)))

    def sweep_partial(self) -> None:
        """Do nothing: a bucket shows only complete objects."""

    def _try(self, verb: str, name: str, act: Callable[[str], Any]) -> Any:
        key = f"{self.prefix}/{name}" if self.prefix else name
        checked(name.rstrip("/-"))
        try:
            return act(key)
        except Exception as error:
            # Every object store has its own errors, none of them this program's.
            reason = first_line(error)
            raise TrialError(
                f"cannot {verb} the checkpoint {self.scheme}://{self.name}/{key}: {reason}", "disk"
            ) from error


def checked(name: str) -> str:
    """Return ``name`` if it is relative and stays below where it is put.

    Raises:
        UserError: it has an empty part, ``..``, a leading slash or dot, or characters that some stores forbid.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"expected an artifact name of letters, digits and .-_ below its root, got {name!r}")
    return name


def open_artifact_store(address: str, bucket: Callable[[str], ObjectStorage]) -> ArtifactStore:
    """Return the artifact store at ``address``: ``s3://BUCKET/PREFIX``, or a folder.

    Args:
        bucket: opens the bucket of a name.

    Raises:
        UserError: another kind of address.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return Folder(Path(os.path.expanduser(address)))
    if scheme != "s3":
        raise UserError(f"--artifacts: expected a folder or s3://BUCKET/PREFIX, got {address!r}")
    name, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    if not name or (prefix and not _NAME.fullmatch(prefix)):
        raise UserError(f"--artifacts: expected s3://BUCKET/PREFIX, got {address!r}")
    return Bucket(scheme, name, prefix, bucket(name))


def claim_place(artifact_store: ArtifactStore, key: str) -> None:
    """Mark ``artifact_store`` as the place of the study with this ``key``, which shows at once whether it is writable.

    Raises:
        UserError: it cannot be written.
    """
    try:
        artifact_store.put(_mark(key), key.encode())
    except TrialError as error:
        raise UserError(f"cannot keep checkpoints in {artifact_store.address}: {error}") from error


def gone(artifact_store: ArtifactStore) -> str:
    """Return advice, in one line, for when the place of a study's checkpoints has vanished."""
    return (
        f"the folder of the study's checkpoints is gone: {artifact_store.address}; put it back or mount it again, or "
        "recreate it with `ftsearch artifacts STUDY --repair`"
    )


def find_place(artifact_store: ArtifactStore, key: str) -> None:
    """Check that ``artifact_store`` is the place of the study with this ``key``.

    Raises:
        UserError: it is not: it is a folder of another machine, or another study's.
    """
    if not is_place(artifact_store, key):
        raise UserError(
            f"the study's checkpoints are not in {artifact_store.address} of this machine; share that folder, say "
            "where it is mounted here with --artifacts, or start studies with --artifacts s3://BUCKET/PREFIX; if it "
            "was removed, `ftsearch artifacts STUDY --repair` recreates it"
        )


def is_place(artifact_store: ArtifactStore, key: str) -> bool:
    """Return whether ``artifact_store`` is the place of the study with this ``key``, and can be reached."""
    if not _KEY.fullmatch(key):  # from the store, which many can write to
        return False
    try:
        return artifact_store.get(_mark(key)) == key.encode()
    except (TrialError, UserError):
        return False


def clear(artifact_store: ArtifactStore, key: str, names: Iterable[str]) -> None:
    """Remove what a study keeps in ``artifact_store``: checkpoints with these ``names``, all for resuming, its mark.

    If no other study keeps anything there, orphaned checkpoints are removed too.
    """
    listed = artifact_store.names()
    strays = filter(is_checkpoint, listed) if is_sole(listed, key) else ()
    for name in {*names, *strays}:
        remove_checkpoint(artifact_store, name)
    artifact_store.sweep_partial()
    artifact_store.remove_all(resuming(key))
    artifact_store.remove(_mark(key))


def remove_checkpoint(artifact_store: ArtifactStore, name: str) -> None:
    """Remove the checkpoint ``name``; anything else that the store may name stays."""
    if is_checkpoint(name):
        artifact_store.remove(name)
    else:
        logger.warning("the store names %r as a checkpoint, which is none of ftsearch's: it stays", name)


def is_checkpoint(name: str) -> bool:
    """Return whether ``name`` is that of a permanent checkpoint."""
    return bool(_CHECKPOINT.fullmatch(name))


def is_sole(listed: Iterable[str], key: str) -> bool:
    """Return whether a place with these names belongs only to the study with this ``key``."""
    return [name for name in listed if name.startswith(_MARK)] == [_mark(key)]


def resuming(key: str, number: int | None = None) -> str:
    """Return the prefix of the checkpoints for resuming trial ``number``, or of all such checkpoints.

    It contains the study's key: studies of the same name in two stores may share a folder.
    """
    return f"{_RESUME}{key[:8]}-" + ("" if number is None else f"{number:05d}/")


def _mark(key: str) -> str:
    return f"{_MARK}{key}"
