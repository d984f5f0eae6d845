"""Trainings outside of a search: confirmations, refits, final models. Their rows belong to a study of their own.

Such a study belongs to the search whose candidates it trains (``parent``), so that leases, epochs and workers are those
of trials, while samplers, rankings and counts of the search never see them. Trainings are entered beforehand, each
once: asking again for an existing one adds nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from search.errors import NotFoundError
from search.records.plain_text import stored_line
from search.records.study import Evaluation, Json, Refit, Repeat, StudyRecord, TrialState
from search.records.uncertainty import calibrated_loss
from search.store import leases
from search.store.connection import reading, retried, writing
from search.store.leases import Claim, change, end
from search.store.stored_json import fresh_key_of, numbers_of
from search.store.tables import StudyRow, TrialRow

CONFIRM, REFIT, FINAL = "confirm", "refit", "final"
KINDS = (CONFIRM, REFIT, FINAL)
_NAME = 64
_OPEN = (TrialState.WAITING, TrialState.RUNNING)


@dataclass(frozen=True, slots=True)
class RetrainingRequest:
    """A training to be queued in the store.

    Attributes:
        key: what it is, plain data; stored as the row's ``params``.
        identified_by: the entries of ``key`` that distinguish it from others of its kind; all of them by default.
    """

    key: Mapping[str, Json]
    candidate: Json
    words: str
    seed: int
    is_baseline: bool = False
    identified_by: tuple[str, ...] = ()

    def is_among(self, keys: Iterable[Mapping[str, Json]]) -> bool:
        """Return whether one of ``keys`` identifies the same training."""
        names = self.identified_by or None
        return _text(self.key, names) in {_text(key, names) for key in keys}


def name_of(study: str, kind: str) -> str:
    """Return the name of the study that holds the trainings of ``kind``; no study file can have such a name."""
    name = f"{study}+{kind}"
    if len(name) <= _NAME:
        return name
    return f"{study[:40]}.{hashlib.sha256(study.encode()).hexdigest()[:8]}+{kind}"


@retried
def add(engine: Engine, study: str, kind: str, requests: Sequence[RetrainingRequest]) -> int:
    """Queue the ``requests`` that are not queued yet; return how many are new.

    A requested stop is withdrawn. Two processes that ask for the same training at once enter it once.

    Raises:
        NotFoundError: no such study.
    """
    with writing(engine) as connection:
        parent = connection.execute(
            select(StudyRow.__table__).where(StudyRow.name == study).with_for_update()
        ).one_or_none()
        if parent is None:
            raise NotFoundError(f"no study {study!r} in this store")
        own = _opened(connection, parent, kind)
        rows = connection.execute(select(TrialRow.params).where(TrialRow.study_id == own)).scalars()
        known = tuple(rows)
        new = [one for one in requests if not one.is_among(known)]
        last = connection.execute(select(func.max(TrialRow.number)).where(TrialRow.study_id == own)).scalar_one()
        begin = 0 if last is None else last + 1
        if new:
            connection.execute(insert(TrialRow), [_row(own, begin + index, one) for index, one in enumerate(new)])
        values = {"target": begin + len(new), "stopping": False, "spec": parent.spec}
        connection.execute(update(StudyRow).where(StudyRow.id == own).values(**values))
        return len(new)


def _opened(connection: Connection, parent: Any, kind: str) -> int:
    """Return the id of the study that holds the trainings of ``kind``, created if missing."""
    name = name_of(parent.name, kind)
    known = connection.execute(select(StudyRow.id).where(StudyRow.name == name)).scalar_one_or_none()
    if known is not None:
        return known
    values = {column.name: getattr(parent, column.name) for column in StudyRow.__table__.columns if column.name != "id"}
    own = {"name": name, "parent": parent.name, "kind": kind, "target": 0, "artifacts": None, "stopping": False}
    result = connection.execute(insert(StudyRow).values(**values | own | {"created_at": datetime.now(UTC)}))
    (key,) = result.inserted_primary_key or (0,)
    return int(key)


def _row(study_id: int, number: int, one: RetrainingRequest) -> dict[str, Any]:
    return {
        "study_id": study_id,
        "number": number,
        "state": TrialState.WAITING,
        "params": dict(one.key),
        "candidate": one.candidate,
        "words": one.words,
        "seed": one.seed,
        "is_baseline": one.is_baseline,
    }


def _text(key: Mapping[str, Json], names: Sequence[str] | None = None) -> str:
    return json.dumps({name: value for name, value in key.items() if names is None or name in names}, sort_keys=True)


@retried
def withdraw(engine: Engine, name: str, keys: Sequence[Mapping[str, Json]]) -> int:
    """Remove those of the trainings called ``name`` with these ``keys`` that nobody has begun; return how many."""
    with writing(engine) as connection:
        study_id = connection.execute(
            select(StudyRow.id).where(StudyRow.name == name).with_for_update()
        ).scalar_one_or_none()
        if study_id is None:
            return 0
        idle = (TrialRow.study_id == study_id, TrialRow.state == TrialState.WAITING, TrialRow.attempts == 0)
        rows = connection.execute(select(TrialRow.id, TrialRow.params).where(*idle)).all()
        unwanted = {_text(key) for key in keys}
        ids = [row.id for row in rows if _text(row.params) in unwanted]
        connection.execute(delete(TrialRow).where(TrialRow.id.in_(ids)))
        last = connection.execute(select(func.max(TrialRow.number)).where(TrialRow.study_id == study_id)).scalar_one()
        target = 0 if last is None else last + 1
        connection.execute(update(StudyRow).where(StudyRow.id == study_id).values(target=target))
        return len(ids)


@retried
def number_of(engine: Engine, name: str, key: Mapping[str, Json]) -> int:
    """Return the number of the training with this ``key`` among those called ``name``.

    Raises:
        NotFoundError: it has not been entered.
    """
    with reading(engine) as connection:
        rows = connection.execute(
            select(TrialRow.number, TrialRow.params)
            .join(StudyRow, StudyRow.id == TrialRow.study_id)
            .where(StudyRow.name == name)
        ).all()
    number = next((row.number for row in rows if _text(row.params) == _text(key)), None)
    if number is None:
        raise NotFoundError(f"no such training in {name!r}")
    return int(number)


@retried
def with_work(engine: Engine, study: str) -> tuple[tuple[str, str], ...]:
    """Return kind and name of the study's trainings that could be claimed now, or soon."""
    with reading(engine) as connection:
        rows = connection.execute(
            select(StudyRow.kind, StudyRow.name)
            .where(StudyRow.parent == study, StudyRow.stopping.is_(False))
            .order_by(StudyRow.id)
        ).all()
    return tuple((_kind(row.kind), row.name) for row in rows if leases.is_work_left(engine, row.name))


@retried
def parent_of(engine: Engine, name: str) -> tuple[str, str] | None:
    """Return study and kind of the trainings called ``name``; None if that is a search, or missing."""
    with reading(engine) as connection:
        row = connection.execute(select(StudyRow.parent, StudyRow.kind).where(StudyRow.name == name)).one_or_none()
    return None if row is None or row.parent is None else (row.parent, _kind(row.kind))


def _kind(stored: str | None) -> str:
    if stored not in KINDS:
        raise ValueError(f"trainings of the kind {stored!r}")
    return stored


@retried
def checkpoints(engine: Engine, study: str) -> tuple[str, ...]:
    """Return the names of the checkpoints of the study's refits and final models."""
    owners = select(StudyRow.id).where(StudyRow.parent == study)
    kept = select(TrialRow.checkpoint).where(TrialRow.study_id.in_(owners), TrialRow.checkpoint.is_not(None))
    with reading(engine) as connection:
        return tuple(name for name in connection.execute(kept).scalars() if name is not None)


@retried
def begin(engine: Engine, claim: Claim, versions: Mapping[str, str], fingerprint: str) -> int:
    """Store the start of the claimed training and its facts; return its seed."""
    with writing(engine) as connection:
        row = connection.execute(select(TrialRow.started_at, TrialRow.seed).where(TrialRow.id == claim.trial_id)).one()
        values = {"started_at": row.started_at or datetime.now(UTC), "versions": dict(versions)}
        change(connection, claim, **values, dataset_fingerprint=fingerprint)
        return row.seed or 0


@retried
def finish_refit(
    engine: Engine,
    claim: Claim,
    *,
    test: Mapping[str, float],
    evaluation: Evaluation | None,
    checkpoint: str,
    ended: str,
    seconds: float,
    extras: Mapping[str, Json],
) -> int | None:
    """Store the result of a refit and end the claim; return the number of its look at the test images, None for none.

    Looks are counted under the lock of the refits' study, so no two can be the first.
    """
    with writing(engine) as connection:
        row = connection.execute(
            select(TrialRow.study_id, TrialRow.seconds, TrialRow.extras).where(TrialRow.id == claim.trial_id)
        ).one()
        connection.execute(select(StudyRow.id).where(StudyRow.id == row.study_id).with_for_update()).one()
        known = dict(row.extras or {})
        look = known.get("look") or (_looks(connection, row.study_id) + 1 if test else None)
        end(
            connection,
            claim,
            TrialState.COMPLETE,
            value=None,
            evaluation=asdict(evaluation) if evaluation else None,
            checkpoint=checkpoint,
            ended=ended,
            seconds=row.seconds + seconds,
            extras={**known, **extras, "test": dict(test), "look": look},
            finished_at=datetime.now(UTC),
            resume=None,
        )
        return look


def _looks(connection: Connection, study_id: int) -> int:
    rows = connection.execute(select(TrialRow.extras).where(TrialRow.study_id == study_id)).scalars()
    return max((int((extras or {}).get("look") or 0) for extras in rows), default=0)


def attached(connection: Connection, study: StudyRecord) -> StudyRecord:
    """Return ``study`` with its confirmations, refits and final models."""
    ids = {
        _kind(row.kind): row.id
        for row in connection.execute(select(StudyRow.id, StudyRow.kind).where(StudyRow.parent == study.name)).all()
    }
    if not ids:
        return study
    return replace(
        study,
        repeats=_repeats(connection, ids.get(CONFIRM)),
        refits=_refits(connection, ids.get(REFIT)),
        finals=_refits(connection, ids.get(FINAL), is_final=True),
    )


def _repeats(connection: Connection, study_id: int | None) -> tuple[Repeat, ...]:
    columns = (TrialRow.params, TrialRow.state, TrialRow.value, TrialRow.seconds, TrialRow.extras, TrialRow.ended)
    rows = connection.execute(select(*columns).where(TrialRow.study_id == study_id).order_by(TrialRow.number)).all()
    return tuple(
        Repeat(
            **fresh_key_of(row.params),
            state=TrialState(row.state),
            value=row.value,
            calibrated_loss=calibrated_loss(row.extras or {}),
            images=int((row.extras or {}).get("images") or 0) or None,
            seconds=row.seconds,
            failure=stored_line(row.ended) if row.state == TrialState.FAILED else "",
        )
        for row in rows
    )


def _refits(connection: Connection, study_id: int | None, *, is_final: bool = False) -> tuple[Refit, ...]:
    rows = connection.execute(
        select(TrialRow.__table__).where(TrialRow.study_id == study_id).order_by(TrialRow.number)
    ).all()
    return tuple(
        Refit(
            number=row.number,
            trial=row.params["trial"],
            words=stored_line(row.words),
            candidate=row.candidate,
            data=row.params["data"],
            epochs=int(row.params["epochs"]),
            ema=row.params["ema"],
            tta=row.params["tta"],
            state=TrialState(row.state),
            test=numbers_of((row.extras or {}).get("test")),
            views=numbers_of((row.extras or {}).get("views")),
            look=(row.extras or {}).get("look"),
            evaluation=Evaluation.from_json(row.evaluation) if row.evaluation else None,
            images=(row.extras or {}).get("images"),
            checkpoint=row.checkpoint,
            seconds=row.seconds,
            ended=stored_line(row.ended),
            finished_at=row.finished_at.replace(tzinfo=UTC) if row.finished_at else None,
            trainings=int((row.extras or {}).get("trainings") or 1),
            branches=int((row.extras or {}).get("branches") or 1),
            has_start=bool((row.extras or {}).get("start")),
            is_mirrored=bool((row.extras or {}).get("mirrored")),
            flops=int((row.extras or {}).get("flops") or 0),
            is_final=is_final,
        )
        for row in rows
    )
