"""Where a study's checkpoints are kept."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from search.artifacts.stores import ArtifactStore, Folder, claim_place, clear, find_place, is_place, open_artifact_store
from search.sampling.s3_bucket import S3Bucket
from search.store import DEFAULT_URL, reading, writing
from search.store.connection import Engine
from search.store.opening import opened


def study_artifacts(engine: Engine, study: str, address: str, here: str | None = None) -> tuple[ArtifactStore, str]:
    """Return the artifact store of the study and its key; ``address`` is where a new one is made.

    ``here`` is its address on this machine, if different.
    """
    stored = reading.artifacts_of(engine, study)
    if stored is None:
        new = open_artifact_store(address, S3Bucket)
        own = _key(engine, study, new.address)
        claim_place(new, own)
        stored = writing.place_artifacts(engine, study, new.address, own)
        if stored[1] != own:  # another worker was faster
            clear(new, own, ())
    return reached_artifacts(stored, address, here), stored[1]


def _key(engine: Engine, study: str, address: str) -> str:
    """Return the key of a study's new place: the same for every worker that chooses this ``address`` for it.

    A worker that dies before the store knows the place then leaves exactly the mark that the next one looks for.
    """
    created = reading.load_study(engine, study, trials=False).created_at
    return hashlib.sha256(f"{study}\n{created}\n{address}".encode()).hexdigest()[:32]


def reached_artifacts(stored: tuple[str, str], beside: str, here: str | None) -> ArtifactStore:
    """Return the store of this address and key: at ``here`` if given, ``beside`` if it is there, else at its address.

    A folder that was moved or copied with its store is found beside it; a copy never touches its original.
    """
    address, key = stored
    if here is None and is_place(open_artifact_store(beside, S3Bucket), key):
        address = beside
    artifact_store = open_artifact_store(here or address, S3Bucket)
    find_place(artifact_store, key)
    return replace(artifact_store, key=key) if isinstance(artifact_store, Folder) else artifact_store


def default_place(name: str) -> Path:
    return (Path("runs") / name).absolute()


def open_artifacts(name: str, *, storage: str = DEFAULT_URL, artifacts: str | None = None) -> ArtifactStore:
    """Return the store of the checkpoints of the study ``name``: ``get`` returns the bytes of a trial's.

    Raises:
        NotFoundError: no such study.
        UserError: they cannot be reached from here.
    """
    with opened(storage, must_exist=True) as engine:
        return study_artifacts(engine, name, str(default_place(name)), artifacts)[0]
