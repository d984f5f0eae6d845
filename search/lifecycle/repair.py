"""Inspects the place of a study's checkpoints, and repairs it if files or the whole place are gone."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from search.artifacts.stores import ArtifactStore, claim_place, is_place, open_artifact_store
from search.errors import NotFoundError, TrialError, UserError
from search.lifecycle.artifact_places import default_place
from search.sampling.s3_bucket import S3Bucket
from search.store import checkpoint_owners, reading
from search.store.checkpoint_owners import Owner
from search.store.connection import Engine
from search.workers.orphaned_checkpoints import leftovers


@dataclass(frozen=True, slots=True)
class Place:
    """Where a study's checkpoints are kept, and which of them are there.

    Attributes:
        is_there: whether it is reachable and the study's own.
        kept: checkpoints whose weights exist.
        lost: checkpoints with missing files, and these files.
        leftovers: names of files that belong to no trial.
    """

    artifact_store: ArtifactStore
    key: str
    is_there: bool
    kept: tuple[Owner, ...] = ()
    lost: tuple[tuple[Owner, tuple[str, ...]], ...] = ()
    leftovers: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_whole(self) -> bool:
        return self.is_there and not self.lost and not self.leftovers


def look(engine: Engine, study: str, artifacts: str | None = None) -> Place:
    """Return the place of the checkpoints of ``study``; ``artifacts`` is its path on this machine, if different.

    Raises:
        NotFoundError: no such study, or no worker has chosen a place yet.
    """
    stored = reading.artifacts_of(engine, study)
    if stored is None:
        raise NotFoundError(f"the study {study!r} has no place for checkpoints yet: its first worker chooses one")
    address, key = stored
    tried = (artifacts,) if artifacts else (str(default_place(study)), address)
    stores = [open_artifact_store(one, S3Bucket) for one in tried]
    marked = next((one for one in stores if is_place(one, key)), None)
    store = marked or stores[-1]
    listed = _listed(store)
    owners = checkpoint_owners.owners(engine, study)
    gone = [(owner, tuple(name for name in owner.names if name not in listed)) for owner in owners]
    return Place(
        store,
        key,
        marked is not None,
        tuple(owner for owner in owners if owner.checkpoint in listed),
        tuple((owner, names) for owner, names in gone if names and not owner.is_running),
        leftovers(store, key, engine, study) if marked is not None else (),
    )


def repair(engine: Engine, study: str, place: Place) -> None:
    """Bring ``place`` and the store into agreement: mark it as the study's, forget lost files, remove leftovers.

    Raises:
        UserError: it cannot be written.
        TrialError: a leftover cannot be removed.
    """
    if not place.is_there:
        claim_place(place.artifact_store, place.key)
        checkpoint_owners.move(engine, study, place.artifact_store.address, place.key)
    for owner, names in place.lost:
        checkpoint_owners.disown(engine, owner, names)
    for name in place.leftovers:
        place.artifact_store.remove(name)
    place.artifact_store.sweep_partial()


def weights_words(engine: Engine, study: str, name: str) -> tuple[str, bool]:
    """Return where the weights called ``name`` are, in words, and whether they exist."""
    stored = reading.artifacts_of(engine, study)
    if stored is None:
        return f"{name}, in no place that the store knows", False
    address, key = stored
    for one in (str(default_place(study)), address):
        with suppress(UserError):  # whoever shares the store can write any address into it
            store = open_artifact_store(one, S3Bucket)
            if is_place(store, key):
                break
    else:
        return f"{name}, in {address}, which cannot be reached from here or is gone", False
    where = f"{store.address}/{name}" if "://" in store.address else str(Path(store.address) / name)
    if name in _listed(store):
        return where, True
    return f"{where} is gone", False


def _listed(store: ArtifactStore) -> frozenset[str]:
    try:
        return frozenset(store.names())
    except TrialError:
        return frozenset()
