"""The workers of a study: registered on arrival, seen with every renewal, signed off on exit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, and_, delete, func, insert, select, update

from search.errors import NotFoundError
from search.records.plain_text import stored_line
from search.records.study import TrialState
from search.store.connection import reading, retried, writing
from search.store.leases import clock
from search.store.tables import EpochRow, StudyRow, TrialRow, WorkerRow


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """One worker that is running, or has disappeared.

    Attributes:
        silent_s: seconds since it last renewed its leases, by the database's clock.
        trials: numbers of the trials it runs.
        epoch: the last epoch that its newest trial has finished; None before the first one.
    """

    name: str
    host: str
    device: str
    started_at: datetime
    silent_s: float
    trials: tuple[int, ...] = ()
    epoch: int | None = None


@retried
def enter(engine: Engine, study: str, worker: str, *, host: str, process: int, device: str) -> None:
    """Register ``worker`` with the study.

    Raises:
        NotFoundError: no such study.
    """
    with writing(engine) as connection:
        study_id = connection.execute(select(StudyRow.id).where(StudyRow.name == study)).scalar_one_or_none()
        if study_id is None:
            raise NotFoundError(f"no study {study!r} in this store")
        connection.execute(delete(WorkerRow).where(WorkerRow.study_id == study_id, WorkerRow.name == worker))
        row = {"study_id": study_id, "name": worker, "host": host, "process": process, "device": device}
        connection.execute(insert(WorkerRow).values(**row, started_at=datetime.now(UTC), seen=clock()))


@retried
def leave(engine: Engine, study: str, worker: str, why: str) -> None:
    """Sign ``worker`` off from the study, with the reason."""
    owner = select(StudyRow.id).where(StudyRow.name == study).scalar_subquery()
    mine = and_(WorkerRow.study_id == owner, WorkerRow.name == worker)
    with writing(engine) as connection:
        connection.execute(update(WorkerRow).where(mine).values(left=why, seen=clock()))


@retried
def present(engine: Engine, study: str) -> tuple[WorkerRecord, ...]:
    """Return the workers that have not signed off, by name."""
    with reading(engine) as connection:
        rows = connection.execute(
            select(WorkerRow.__table__, (clock() - WorkerRow.seen).label("silent_s"))
            .join(StudyRow, StudyRow.id == WorkerRow.study_id)
            .where(StudyRow.name == study, WorkerRow.left.is_(None))
            .order_by(WorkerRow.name)
        ).all()
        running = connection.execute(
            select(TrialRow.worker, TrialRow.number, func.max(EpochRow.epoch).label("epoch"))
            .join(StudyRow, StudyRow.id == TrialRow.study_id)
            .outerjoin(EpochRow, EpochRow.trial_id == TrialRow.id)
            .where(StudyRow.name == study, TrialRow.state == TrialState.RUNNING)
            .group_by(TrialRow.worker, TrialRow.number)
            .order_by(TrialRow.number)
        ).all()
    records = []
    for row in rows:
        own = [trial for trial in running if trial.worker == row.name]
        epoch = own[-1].epoch if own else None
        numbers = tuple(trial.number for trial in own)
        since = row.started_at if row.started_at.tzinfo else row.started_at.replace(tzinfo=UTC)
        records.append(WorkerRecord(row.name, row.host, row.device, since, max(row.silent_s, 0.0), numbers, epoch))
    return tuple(records)


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace of a study, and its failures.

    Attributes:
        trials_per_hour: trials that ended within the last hour, or since the study's first trial began if that
            is less long ago, by the hour; None before the first has ended.
        failures: failed trials by the kind of their failure.
    """

    trials_per_hour: float | None
    failures: Mapping[str, int]


@retried
def pace(engine: Engine, study: str) -> Pace:
    """Return the pace of the study, and its failures by reason."""
    now = datetime.now(UTC)
    with reading(engine) as connection:
        own = select(TrialRow).join(StudyRow, StudyRow.id == TrialRow.study_id).where(StudyRow.name == study)
        first = connection.execute(own.with_only_columns(func.min(TrialRow.started_at))).scalar_one_or_none()
        hour = now - timedelta(hours=1)
        ended = connection.execute(own.with_only_columns(func.count()).where(TrialRow.finished_at >= hour)).scalar_one()
        kinds = connection.execute(
            own.with_only_columns(TrialRow.failure_kind, func.count())
            .where(TrialRow.failure_kind.is_not(None))
            .group_by(TrialRow.failure_kind)
        ).all()
    failures = {stored_line(str(kind)): count for kind, count in kinds}
    if first is None or not ended:
        return Pace(None, failures)
    begin = max(first if first.tzinfo else first.replace(tzinfo=UTC), hour)
    return Pace(ended / max((now - begin).total_seconds() / 3600, 1e-9), failures)
