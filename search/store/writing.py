"""Writes records to rows. Each call is one transaction, safe to repeat; every write of a trial carries its claim."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from search.errors import ConflictError, DatabaseError, NotFoundError
from search.records.study import OPEN, EpochRecord, Evaluation, Failure, Json, Size, StudyRecord, TrialState
from search.store.connection import reading, retried, writing
from search.store.leases import Claim, change, end
from search.store.tables import EpochRow, FittedRow, StudyRow, TrialRow, WorkerRow


def create_study(engine: Engine, study: StudyRecord, *, may_shrink: bool = False) -> bool:
    """Store a new study, or continue the one of the same name; return whether it is new.

    Two processes may create the same study at once: one does, both continue. A larger target than the stored
    one replaces it, and a requested stop is withdrawn.

    Args:
        may_shrink: a smaller target replaces the stored one too; trials that have begun stay.

    Raises:
        ConflictError: the name belongs to another search; lists what differs.
    """
    try:
        return _create(engine, study, may_shrink=may_shrink)
    except DatabaseError as error:
        if not isinstance(error.__cause__, IntegrityError):
            raise
        return _create(engine, study, may_shrink=may_shrink)  # another process was quicker: now it can be continued


@retried
def _create(engine: Engine, study: StudyRecord, *, may_shrink: bool) -> bool:
    with writing(engine) as connection:
        row = connection.execute(
            select(StudyRow.id, StudyRow.identity, StudyRow.target, StudyRow.spec)
            .where(StudyRow.name == study.name)
            .with_for_update()
        ).one_or_none()
        if row is None:
            connection.execute(insert(StudyRow).values(**_study_values(study)))
            return True
        changes = list(differences(row.identity, study.identity))
        if changes:
            raise ConflictError(
                f"the study {study.name!r} exists and is another search; give this one another name. It differs in:\n"
                + "\n".join(f"  {line}" for line in changes)
            )
        # A study left open by a run that died gets the number that this run names.
        least = _begun(connection, row.id) if may_shrink else 0 if row.target >= OPEN else row.target
        target = max(least, study.target)
        values = {"target": target, "stopping": False, "spec": _with_search(row.spec, study.spec)}
        connection.execute(update(StudyRow).where(StudyRow.id == row.id).values(**values))
        return False


def _with_search(stored: Json, given: Json) -> Json:
    """Return the stored spec with the given one's search settings: a budget may grow, workers read it here."""
    try:
        return {**stored, "study": {**stored["study"], "search": given["study"]["search"]}}
    except (KeyError, TypeError):
        return stored  # from another version


@retried
def check_same(engine: Engine, study: StudyRecord) -> None:
    """Check that the stored study of this name is the same search; changes nothing.

    Raises:
        NotFoundError: no such study.
        ConflictError: it is another search; lists what differs.
    """
    with reading(engine) as connection:
        stored = connection.execute(select(StudyRow.identity).where(StudyRow.name == study.name)).one_or_none()
    if stored is None:
        raise NotFoundError(f"no study {study.name!r} in this store")
    changes = list(differences(stored.identity, study.identity))
    if changes:
        raise ConflictError(
            f"what this worker finds here is not what the study {study.name!r} searches with. It differs in:\n"
            + "\n".join(f"  {line}" for line in changes)
        )


def _study_values(study: StudyRecord) -> dict[str, Any]:
    same = ("name", "task", "metric", "maximize", "backbone", "weights", "target", "identity", "spec", "spec_text")
    return {name: getattr(study, name) for name in same} | {
        "dataset": asdict(study.dataset),
        "units": [asdict(unit) for unit in study.units],
        "versions": dict(study.versions),
        "created_at": study.created_at or datetime.now(UTC),
        "stopping": False,
    }


def differences(stored: Json, given: Json, path: str = "") -> Iterator[str]:
    """Yield a line for every place in which two pieces of JSON differ: ``space.tail.high: stored 3, now 5``."""
    if isinstance(stored, dict) and isinstance(given, dict):
        for key in sorted({*stored, *given}):
            yield from differences(stored.get(key), given.get(key), f"{path}.{key}" if path else key)
    elif stored != given:
        yield f"{path}: stored {stored!r}, now {given!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The candidate of a trial and its settings, known before it trains."""

    optuna_number: int
    params: Mapping[str, Json]
    distributions: Mapping[str, str]
    candidate: Json
    words: str
    is_baseline: bool
    seed: int
    versions: Mapping[str, str]
    dataset_fingerprint: str
    extras: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a trial ended; ``seconds`` and ``extras`` are added to the stored ones.

    Attributes:
        constraints: excesses: one above 0 takes the trial out of the ranking.
    """

    state: TrialState
    value: float | None
    best_epoch: int | None
    evaluation: Evaluation | None
    ended: str
    seconds: float
    checkpoint: str | None = None
    extras: Mapping[str, Json] | None = None
    objectives: Mapping[str, float] | None = None
    constraints: Mapping[str, float] | None = None


@retried
def record_candidate(engine: Engine, claim: Claim, started: Started) -> None:
    """Store the trial's candidate, before it trains."""
    values = {each.name: getattr(started, each.name) for each in fields(started)}
    values |= {name: dict(values[name] or {}) for name in ("params", "distributions", "versions", "extras")}
    with writing(engine) as connection:
        change(connection, claim, **values)


@retried
def record_size(engine: Engine, claim: Claim, size: Size) -> None:
    """Store the size of the candidate's network."""
    values = {"parameters": size.parameters, "trained": size.trained, "flops": size.flops}
    with writing(engine) as connection:
        change(connection, claim, **values, unit_states=list(size.unit_states))


@retried
def record_epochs(engine: Engine, claim: Claim, epochs: Sequence[EpochRecord]) -> None:
    """Store epochs, in order; what an earlier attempt stored from the first of them on is replaced."""
    rows = [
        {
            "trial_id": claim.trial_id,
            "epoch": record.epoch,
            "train_loss": record.train_loss if math.isfinite(record.train_loss) else None,
            "seconds": record.seconds,
            "metrics": dict(record.metrics),
            "learning_rates": dict(record.learning_rates),
            "loss_terms": dict(record.loss_terms),
        }
        for record in epochs
    ]
    with writing(engine) as connection:
        change(connection, claim, state=TrialState.RUNNING)
        begin = min(record.epoch for record in epochs)  # an attempt may end sooner than the one before it
        connection.execute(delete(EpochRow).where(EpochRow.trial_id == claim.trial_id, EpochRow.epoch >= begin))
        connection.execute(insert(EpochRow), rows)


@retried
def finish_trial(engine: Engine, claim: Claim, how: Ended) -> None:
    """Store how the trial ended and give up the claim."""
    with writing(engine) as connection:
        query = select(TrialRow.seconds, TrialRow.extras).where(TrialRow.id == claim.trial_id)
        row = connection.execute(query).one_or_none()
        spent, known = (row.seconds, row.extras or {}) if row is not None else (0.0, {})
        end(
            connection,
            claim,
            how.state,
            value=how.value if how.value is not None and math.isfinite(how.value) else None,
            best_epoch=how.best_epoch,
            evaluation=asdict(how.evaluation) if how.evaluation else None,
            ended=how.ended,
            seconds=spent + how.seconds,
            checkpoint=how.checkpoint,
            objectives=dict(how.objectives) if how.objectives else None,
            constraints=dict(how.constraints) if how.constraints else None,
            feasible=all(excess <= 0 for excess in how.constraints.values()) if how.constraints else None,
            extras={**known, **(how.extras or {})},
            finished_at=datetime.now(UTC),
            resume=None,
        )


@retried
def add_seconds(engine: Engine, claim: Claim, seconds: float) -> None:
    """Store the seconds of an attempt that is about to be handed back."""
    with writing(engine) as connection:
        change(connection, claim, seconds=TrialRow.seconds + seconds)


@retried
def fail_trial(engine: Engine, claim: Claim, failure: Failure, seconds: float = 0.0) -> int | None:
    """Store why the trial failed after ``seconds``, give up the claim, and return its number in Optuna, if any."""
    with writing(engine) as connection:
        end(
            connection,
            claim,
            TrialState.FAILED,
            ended=failure.message,
            failure_kind=failure.kind,
            failure_message=failure.message,
            failure_traceback=failure.traceback,
            seconds=TrialRow.seconds + seconds,
            finished_at=datetime.now(UTC),
        )
        number = select(TrialRow.optuna_number).where(TrialRow.id == claim.trial_id)
        return connection.execute(number).scalar_one_or_none()


@retried
def record_resume(engine: Engine, claim: Claim, names: Sequence[str]) -> None:
    """Store the names of the checkpoints from which the next attempt resumes, the newest first."""
    with writing(engine) as connection:
        change(connection, claim, resume=list(names))


@retried
def forget_checkpoint(engine: Engine, study: str, number: int) -> None:
    """Store that the trial's checkpoint is no longer kept."""
    owner = select(StudyRow.id).where(StudyRow.name == study).scalar_subquery()
    with writing(engine) as connection:
        connection.execute(
            update(TrialRow).where(TrialRow.study_id == owner, TrialRow.number == number).values(checkpoint=None)
        )


@retried
def close_study(engine: Engine, study: str, *, is_settled: bool = False) -> None:
    """End an open study with the trials that it has.

    A study with a target number is unchanged, unless it ``is_settled`` and needs no more trials.
    """
    with writing(engine) as connection:
        begun = _begun(connection, select(StudyRow.id).where(StudyRow.name == study).scalar_subquery())
        beyond = StudyRow.target > begun if is_settled else StudyRow.target >= OPEN
        connection.execute(update(StudyRow).where(StudyRow.name == study, beyond).values(target=begun))


def _begun(connection: Connection, study: Any) -> int:
    """Return how many trials the study of this id has."""
    numbers = select(func.coalesce(func.max(TrialRow.number), -1) + 1)
    return int(connection.execute(numbers.where(TrialRow.study_id == study)).scalar_one())


@retried
def request_stop(engine: Engine, study: str) -> None:
    """Keep workers from claiming trials of ``study``, or retraining its candidates, until it is run again.

    Raises:
        NotFoundError: no such study.
    """
    with writing(engine) as connection:
        if connection.execute(update(StudyRow).where(StudyRow.name == study).values(stopping=True)).rowcount != 1:
            raise NotFoundError(f"no study {study!r} in this store")
        connection.execute(update(StudyRow).where(StudyRow.parent == study).values(stopping=True))


@retried
def retry_failed(engine: Engine, study: str, numbers: Sequence[int] | None = None) -> tuple[int, ...]:
    """Put failed trials back into the queue, with their candidates and all their retries; return their numbers.

    Args:
        numbers: only these of the failed ones; None: all.

    Raises:
        NotFoundError: no such study.
    """
    with writing(engine) as connection:
        locked = select(StudyRow.id).where(StudyRow.name == study).with_for_update()
        study_id = connection.execute(locked).scalar_one_or_none()
        if study_id is None:
            raise NotFoundError(f"no study {study!r} in this store")
        failed = select(TrialRow).where(TrialRow.study_id == study_id, TrialRow.state == TrialState.FAILED)
        if numbers is not None:
            failed = failed.where(TrialRow.number.in_(numbers))
        columns = (TrialRow.id, TrialRow.number, TrialRow.story, TrialRow.attempts, TrialRow.worker, TrialRow.ended)
        rows = connection.execute(failed.with_only_columns(*columns).order_by(TrialRow.number)).all()
        for row in rows:
            story = [
                *(row.story or ()),
                f"attempt {row.attempts} on {row.worker} failed: {row.ended}; put back by hand",
            ]
            connection.execute(update(TrialRow).where(TrialRow.id == row.id).values(**_AGAIN, story=story))
        if rows:
            connection.execute(update(StudyRow).where(StudyRow.id == study_id).values(stopping=False))
        return tuple(row.number for row in rows)


_AGAIN: dict[str, Any] = {
    "state": TrialState.WAITING,
    "token": None,
    "lease_until": None,
    "lost": 0,
    "finished_at": None,
    "failure_kind": None,
    "failure_message": None,
    "failure_traceback": None,
    "ended": "",
    "optuna_number": None,  # Optuna's trial has ended for good: the next attempt opens another with the same values
}


@retried
def place_artifacts(engine: Engine, study: str, address: str, key: str) -> tuple[str, str]:
    """Store where the study's checkpoints are, unless that is stored already; return what is stored: address, key.

    Raises:
        NotFoundError: no such study.
    """
    with writing(engine) as connection:
        row = connection.execute(
            select(StudyRow.id, StudyRow.artifacts).where(StudyRow.name == study).with_for_update()
        ).one_or_none()
        if row is None:
            raise NotFoundError(f"no study {study!r} in this store")
        if row.artifacts is None:
            place = {"address": address, "key": key}
            connection.execute(update(StudyRow).where(StudyRow.id == row.id).values(artifacts=place))
            return address, key
        return row.artifacts["address"], row.artifacts["key"]


@retried
def delete_study(engine: Engine, study: str) -> None:
    """Remove the study, if it exists, with its trials, epochs, workers, confirmations and refits."""
    is_own = or_(StudyRow.name == study, StudyRow.parent == study)
    with writing(engine) as connection:
        owners = list(connection.execute(select(StudyRow.id).where(is_own)).scalars())
        trials = select(TrialRow.id).where(TrialRow.study_id.in_(owners))
        connection.execute(delete(EpochRow).where(EpochRow.trial_id.in_(trials)))
        for table in (TrialRow, WorkerRow, FittedRow):
            connection.execute(delete(table).where(table.study_id.in_(owners)))
        connection.execute(delete(StudyRow).where(StudyRow.id.in_(owners)))
