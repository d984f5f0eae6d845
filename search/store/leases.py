"""Who owns a trial: claim, renew, hand back, take over. Each is one transaction that says under which condition.

Time is the database's own clock, so workers whose clocks differ agree on when a lease has run out.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, and_, func, insert, literal, or_, select, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import Float

from search.errors import LeaseLostError, NotFoundError
from search.records import Json, TrialState
from search.store.connection import retried, writing
from search.store.tables import StudyRow, TrialRow

MAX_LOST = 3
"""Attempts that may end without a word before a trial is given up."""


class clock(GenericFunction[float]):  # noqa: N801  # named like the SQL function it is
    """Seconds since 1970 by the database's clock."""

    type = Float()
    inherit_cache = True


@compiles(clock, "sqlite")
def _sqlite(*_: Any, **__: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


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
        token: goes with every write; void as soon as another worker has taken the trial over.
        attempt: counted from 1.
        candidate: what a former attempt sampled; None when this is the first.
        optuna_number: the trial's number in Optuna, if it has been asked for there.
    """

    study: str
    trial_id: int
    number: int
    token: str
    attempt: int
    candidate: Json = None
    optuna_number: int | None = None


@retried
def claim(engine: Engine, study: str, worker: str, lease_s: float) -> Claim | None:
    """Claim a trial of ``study`` for ``lease_s`` seconds: one handed back or abandoned, else a new number.

    New numbers are given out until the study has its target, exactly; all claims of a study wait for each other.
    A trial whose workers died ``MAX_LOST`` times is failed. Returns None when there is nothing to claim now.

    Raises:
        NotFoundError: no such study.
    """
    with writing(engine) as connection:
        row = connection.execute(
            select(StudyRow.id, StudyRow.target, StudyRow.stopping).where(StudyRow.name == study).with_for_update()
        ).one_or_none()
        if row is None:
            raise NotFoundError(f"no study {study!r} in this store")
        if row.stopping:
            return None
        now = connection.execute(select(clock())).scalar_one()
        _give_up(connection, row.id, now)
        found = connection.execute(_free(row.id, now)).one_or_none()
        if found is not None:
            return _take(connection, study, found, worker, now + lease_s)
        count = connection.execute(select(func.count()).where(TrialRow.study_id == row.id)).scalar_one()
        return _new(connection, study, row.id, count, worker, now + lease_s) if count < row.target else None


def _is_abandoned(now: float) -> Any:
    return and_(TrialRow.state == TrialState.RUNNING, TrialRow.lease_until < now)


def _free(study_id: int, now: float) -> Select[Any]:
    free = or_(TrialRow.state == TrialState.WAITING, _is_abandoned(now))
    return (
        select(TrialRow.id, TrialRow.number, TrialRow.state, TrialRow.attempts, TrialRow.lost, TrialRow.candidate)
        .add_columns(TrialRow.optuna_number)
        .where(TrialRow.study_id == study_id, free)
        .order_by(TrialRow.number)
        .limit(1)
    )


def _give_up(connection: Connection, study_id: int, now: float) -> None:
    message = f"its worker died {MAX_LOST} times without a word; the last one was "
    connection.execute(
        update(TrialRow)
        .where(TrialRow.study_id == study_id, _is_abandoned(now), TrialRow.lost >= MAX_LOST - 1)
        .values(
            state=TrialState.FAILED,
            token=None,
            lost=TrialRow.lost + 1,
            failure_kind="lost",
            failure_message=literal(message) + TrialRow.worker,
            ended=literal(message) + TrialRow.worker,
            finished_at=datetime.now(UTC),
        )
    )


def _take(connection: Connection, study: str, found: Any, worker: str, until: float) -> Claim:
    token = uuid.uuid4().hex
    connection.execute(
        update(TrialRow)
        .where(TrialRow.id == found.id)
        .values(
            state=TrialState.RUNNING,
            worker=worker,
            token=token,
            lease_until=until,
            attempts=found.attempts + 1,
            lost=found.lost + (found.state == TrialState.RUNNING),
        )
    )
    return Claim(study, found.id, found.number, token, found.attempts + 1, found.candidate, found.optuna_number)


def _new(connection: Connection, study: str, study_id: int, number: int, worker: str, until: float) -> Claim:
    token = uuid.uuid4().hex
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


@retried
def renew(engine: Engine, claim: Claim, lease_s: float) -> None:
    """Let the claim run for another ``lease_s`` seconds from now."""
    with writing(engine) as connection:
        change(connection, claim, lease_until=clock() + lease_s)


@retried
def release(engine: Engine, claim: Claim) -> None:
    """Hand the trial back to the queue: the next worker that asks goes on with it."""
    with writing(engine) as connection:
        change(connection, claim, state=TrialState.WAITING, token=None, lease_until=None)
