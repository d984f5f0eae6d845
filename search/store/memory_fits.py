"""The batch sizes that fitted into memory, by structure and kind of device."""

from __future__ import annotations

import json
from hashlib import sha256

from sqlalchemy import Engine, delete, insert, select

from search.records.study import Json
from search.store.connection import reading, retried, writing
from search.store.tables import FittedRow, StudyRow


def structure_key(candidate: Json) -> str:
    """Return a hash that candidates of the same structure share, however they are trained."""
    structure = candidate.get("structure", candidate) if isinstance(candidate, dict) else candidate
    return sha256(json.dumps(structure, sort_keys=True).encode()).hexdigest()


@retried
def remember(engine: Engine, study: str, structure: str, device: str, samples: int) -> None:
    """Store that at most ``samples`` of a batch fitted at once, replacing what was known before."""
    owner = select(StudyRow.id).where(StudyRow.name == study)
    with writing(engine) as connection:
        study_id = connection.execute(owner.with_for_update()).scalar_one_or_none()
        if study_id is None:
            return
        key = {"study_id": study_id, "structure": structure, "device": device}
        connection.execute(delete(FittedRow).filter_by(**key))
        connection.execute(insert(FittedRow).values(**key, samples=samples))


@retried
def recall(engine: Engine, study: str, structure: str, device: str) -> int | None:
    """Return how many samples fitted at once; None if whole batches did, or if unknown."""
    with reading(engine) as connection:
        return connection.execute(
            select(FittedRow.samples)
            .join(StudyRow, StudyRow.id == FittedRow.study_id)
            .where(StudyRow.name == study, FittedRow.structure == structure, FittedRow.device == device)
        ).scalar_one_or_none()
