"""Ownership of trials: claim, renew, hand back, take over, each in one conditional transaction.

Time is the database's own clock, for SQLite the machine's, so that workers whose clocks differ agree on when a lease
has expired.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, and_, case, func, insert, or_, select, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import Float

from search.errors import LeaseLostError, NotFoundError
from search.records.study import Failure, Json, TrialState
from search.store.connection import CLOCK, reading, retried, writing
from search.store.stored_json import texts_of
from search.store.tables import EpochRow, StudyRow, TrialRow, WorkerRow


class clock(GenericFunction[float]):  # noqa: N801  # named like the SQL function it is
    """Seconds since 1970 by the database's clock."""

    type = Float()
    inherit_cache = True


@compiles(clock, "sqlite")
def _sqlite(*_: Any, **__: Any) -> str:
    return f"{CLOCK}()"


@compiles(clock, "postgresql")
def _postgresql(*_: Any, **__: Any) -> str:
    return "extract(epoch from clock_timestamp())"


@compiles(clock, "mysql")
def _mysql(*_: Any, **__: Any) -> str:
    return "(unix_timestamp(now(6)))"


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker's right to run one trial.

    Attributes:
        token: sent with every write; invalid once another worker has taken the trial over.
        attempt: counted from 1.
        candidate: sampled by an earlier attempt, with its ``params``; None for the first.
        optuna_number: the trial's number in Optuna, if it has been asked for there.
        resume: names of the checkpoints to resume from, the newest first.
    """

    study: str
    trial_id: int
    number: int
    token: str
    attempt: int
    candidate: Json = None
    optuna_number: int | None = None
    params: Json = None
    resume: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Beat:
    """The answer to a worker that renews its leases.

    Attributes:
        lost: trials (by ``trial_id``) that are no longer its own.
        stopping: whether the study has been asked to stop.
    """

    lost: frozenset[int]
    stopping: bool


def claim(engine: Engine, study: str, worker: str, lease_s: float, max_retries: int = 2) -> Claim | None:
    """Claim a trial for ``worker``: one that waits or was abandoned, else the study's next new one.

    Trial numbers are given out under a lock on the study's row, so there are exactly as many as the study's
    target. An abandoned trial is given up when it has been abandoned more than ``max_retries`` times. Returns
    None if there is nothing to claim now. Repeating a claim whose answer was lost returns the same trial.

    Raises:
        NotFoundError: no such study.
    """
    return _claim(engine, study, worker, lease_s, max_retries, uuid.uuid4().hex)


@retried
def _claim(engine: Engine, study: str, worker: str, lease_s: float, max_retries: int, token: str) -> Claim | None:
    with writing(engine) as connection:
        row = connection.execute(
            select(StudyRow.id, StudyRow.target, StudyRow.stopping).where(StudyRow.name == study).with_for_update()
        ).one_or_none()
        if row is None:
            raise NotFoundError(f"no study {study!r} in this store")
        if row.stopping:
            return None
        now = connection.execute(select(clock())).scalar_one()
        _reap(connection, row.id, now, max_retries)
        columns = (TrialRow.id, TrialRow.number, TrialRow.state, TrialRow.attempts, TrialRow.candidate, TrialRow.params)
        waiting = select(*columns, TrialRow.optuna_number, TrialRow.resume).where(TrialRow.study_id == row.id)
        mine = and_(TrialRow.state == TrialState.RUNNING, TrialRow.token == token)
        order = (case((mine, 0), else_=1), TrialRow.number)
        free = connection.execute(
            waiting.where(or_(TrialRow.state == TrialState.WAITING, mine)).order_by(*order).limit(1)
        ).one_or_none()
        if free is not None:
            return _take(connection, study, free, worker, now + lease_s, token)
        last = connection.execute(select(func.max(TrialRow.number)).where(TrialRow.study_id == row.id)).scalar_one()
        number = 0 if last is None else last + 1
        return _new(connection, study, row.id, number, worker, now + lease_s, token) if number < row.target else None


def _is_abandoned(now: float) -> Any:
    return and_(TrialRow.state == TrialState.RUNNING, TrialRow.lease_until < now)


def _reap(connection: Connection, study_id: int, now: float, max_retries: int) -> None:
    """Put the trials whose leases have expired back into the queue, or give them up."""
    abandoned = connection.execute(
        select(TrialRow.id, TrialRow.attempts, TrialRow.worker, TrialRow.lost, TrialRow.story, TrialRow.lease_until)
        .where(TrialRow.study_id == study_id, _is_abandoned(now))
        .with_for_update()
    ).all()
    for row in abandoned:
        epoch = connection.execute(select(func.max(EpochRow.epoch)).where(EpochRow.trial_id == row.id)).scalar_one()
        how = f"went silent after epoch {epoch}" if epoch else "went silent before its first epoch ended"
        story = _with_attempt(row.story, row.attempts, row.worker, how)
        message = f"its worker died {row.lost + 1} times without a word: " + "; ".join(story)
        values = _given_up("lost", message) if row.lost >= max_retries else {"state": TrialState.WAITING}
        connection.execute(
            update(TrialRow)
            .where(TrialRow.id == row.id, _is_abandoned(now))
            .values(**values, token=None, lease_until=None, lost=row.lost + 1, story=story)
        )


def _with_attempt(story: Json, attempt: int, worker: str, how: str) -> list[str]:
    return [*(story or ()), f"attempt {attempt} on {worker} {how}"]


def _given_up(kind: str, message: str) -> dict[str, Any]:
    values = {"failure_kind": kind, "failure_message": message, "ended": message}
    return {"state": TrialState.FAILED, "finished_at": datetime.now(UTC), **values}


def _take(connection: Connection, study: str, row: Any, worker: str, until: float, token: str) -> Claim:
    attempt = row.attempts + (row.state == TrialState.WAITING)
    connection.execute(
        update(TrialRow)
        .where(TrialRow.id == row.id)
        .values(state=TrialState.RUNNING, worker=worker, token=token, lease_until=until, attempts=attempt)
    )
    return Claim(
        study,
        row.id,
        row.number,
        token,
        attempt,
        row.candidate,
        row.optuna_number,
        row.params,
        texts_of(row.resume),
    )


def _new(
    connection: Connection, study: str, study_id: int, number: int, worker: str, until: float, token: str
) -> Claim:
    values = {
        "study_id": study_id,
        "number": number,
        "state": TrialState.RUNNING,
        "worker": worker,
        "token": token,
        "lease_until": until,
        "attempts": 1,
        "started_at": datetime.now(UTC),
    }
    result = connection.execute(insert(TrialRow).values(**values))
    (row,) = result.inserted_primary_key or (0,)
    return Claim(study, int(row), number, token, 1)


@retried
def is_work_left(engine: Engine, study: str) -> bool:
    """Return whether ``claim`` might give a trial now; reads only, so that waiting workers take no lock.

    Raises:
        NotFoundError: no such study.
    """
    with reading(engine) as connection:
        row = connection.execute(
            select(StudyRow.id, StudyRow.target, StudyRow.stopping).where(StudyRow.name == study)
        ).one_or_none()
        if row is None:
            raise NotFoundError(f"no study {study!r} in this store")
        if row.stopping:
            return False
        last = connection.execute(select(func.max(TrialRow.number)).where(TrialRow.study_id == row.id)).scalar_one()
        if (-1 if last is None else last) + 1 < row.target:
            return True
        free = or_(TrialRow.state == TrialState.WAITING, and_(TrialRow.state == TrialState.RUNNING, _is_late()))
        waiting = select(TrialRow.id).where(TrialRow.study_id == row.id, free).limit(1)
        return connection.execute(waiting).one_or_none() is not None


def _is_late() -> Any:
    return TrialRow.lease_until < clock()


def held(claim: Claim) -> Any:
    """Return the condition under which ``claim`` may still write."""
    return and_(TrialRow.id == claim.trial_id, TrialRow.token == claim.token, TrialRow.state == TrialState.RUNNING)


def change(connection: Connection, claim: Claim, **values: Any) -> None:
    """Change the claimed trial's row.

    Raises:
        LeaseLostError: another worker owns the trial now; nothing is written.
    """
    if connection.execute(update(TrialRow).where(held(claim)).values(**values)).rowcount != 1:
        raise LeaseLostError(f"trial {claim.number} of {claim.study}: another worker has taken it over")


def end(connection: Connection, claim: Claim, state: TrialState, **values: Any) -> None:
    """Change the claimed trial's row for the last time, which ends the claim.

    A repetition, because the database's first answer was lost, changes nothing.

    Raises:
        LeaseLostError: another worker owns the trial now; nothing is written.
    """
    try:
        change(connection, claim, state=state, lease_until=None, **values)
    except LeaseLostError:
        done = select(TrialRow.id).where(
            TrialRow.id == claim.trial_id, TrialRow.token == claim.token, TrialRow.state == state
        )
        if connection.execute(done).one_or_none() is None:
            raise


@retried
def renew(engine: Engine, claim: Claim, lease_s: float) -> None:
    """Extend the claim to ``lease_s`` seconds from now.

    Raises:
        LeaseLostError: another worker owns the trial now.
    """
    with writing(engine) as connection:
        change(connection, claim, lease_until=clock() + lease_s)


@retried
def release(engine: Engine, claim: Claim, why: str = "handed it back") -> None:
    """Hand the trial back to the queue: the next worker that claims it continues.

    Raises:
        LeaseLostError: another worker owns the trial now.
    """
    with writing(engine) as connection:
        end(connection, claim, TrialState.WAITING, story=_story(connection, claim, why))


@retried
def put_off(engine: Engine, claim: Claim, failure: Failure, max_retries: int) -> bool:
    """Hand back a trial that this machine could not run; one that has been tried often enough is failed.

    Returns:
        Whether the trial has been failed.

    Raises:
        LeaseLostError: another worker owns the trial now.
    """
    with writing(engine) as connection:
        lost = connection.execute(select(TrialRow.lost).where(held(claim))).scalar_one_or_none() or 0
        story = _story(connection, claim, f"failed ({failure.kind}): {failure.message}")
        if lost < max_retries:
            end(connection, claim, TrialState.WAITING, story=story, lost=lost + 1)
            return False
        values = _given_up(failure.kind, failure.message) | {"failure_traceback": failure.traceback}
        end(connection, claim, TrialState(values.pop("state")), story=story, lost=lost + 1, **values)
        return True


def _story(connection: Connection, claim: Claim, how: str) -> list[str]:
    row = connection.execute(
        select(TrialRow.story, TrialRow.attempts, TrialRow.worker).where(TrialRow.id == claim.trial_id)
    ).one_or_none()
    return _with_attempt(row.story, row.attempts, row.worker, how) if row is not None else []


@retried
def beat(engine: Engine, study: str, worker: str, claims: Sequence[Claim], lease_s: float) -> Beat:
    """Renew all leases of ``worker`` and record that it is alive.

    A study that has been deleted reads as one that stops, its trials as lost.
    """
    with writing(engine) as connection:
        row = connection.execute(select(StudyRow.id, StudyRow.stopping).where(StudyRow.name == study)).one_or_none()
        if row is None:
            return Beat(frozenset(claim.trial_id for claim in claims), stopping=True)
        now = connection.execute(select(clock())).scalar_one()
        connection.execute(
            update(WorkerRow).where(WorkerRow.study_id == row.id, WorkerRow.name == worker).values(seen=now)
        )
        lost = set()
        for claim in sorted(claims, key=lambda claim: claim.trial_id):
            if connection.execute(update(TrialRow).where(held(claim)).values(lease_until=now + lease_s)).rowcount != 1:
                lost.add(claim.trial_id)
        return Beat(frozenset(lost), row.stopping)


@retried
def reap(engine: Engine, study: str, max_retries: int = 2) -> None:
    """Put the study's abandoned trials back into the queue, or give them up, without claiming one."""
    with reading(engine) as connection:
        study_id = connection.execute(select(StudyRow.id).where(StudyRow.name == study)).scalar_one_or_none()
        late = select(TrialRow.id).where(
            TrialRow.study_id == study_id, TrialRow.state == TrialState.RUNNING, _is_late()
        )
        if study_id is None or connection.execute(late.limit(1)).one_or_none() is None:
            return
    with writing(engine) as connection:
        # The same lock as for a claim, in the same order, so that two reapers cannot wait for each other.
        connection.execute(select(StudyRow.id).where(StudyRow.id == study_id).with_for_update()).one_or_none()
        _reap(connection, study_id, connection.execute(select(clock())).scalar_one(), max_retries)
