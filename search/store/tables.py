"""Our tables, beside Optuna's in the same database. SQLAlchemy objects never leave this package."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    MetaData,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from search.store.checked_columns import LargeWhole, Name, Prose, Real, Whole

_NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
_SPECIAL = "$number"


class Plain(TypeDecorator[Any]):
    """JSON in which NaN and infinities survive: PostgreSQL and MySQL refuse them bare."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return _shielded(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return restored(value)


def _shielded(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {_SPECIAL: str(value)}
    if isinstance(value, dict):
        return {str(key): _shielded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_shielded(inner) for inner in value]
    return value


def restored(value: Any) -> Any:
    """Return JSON as it was given, NaN and infinities included."""
    if isinstance(value, dict):
        if set(value) == {_SPECIAL}:
            return float(value[_SPECIAL])
        return {key: restored(inner) for key, inner in value.items()}
    return [restored(inner) for inner in value] if isinstance(value, list) else value


class Base(DeclarativeBase):
    """All our tables."""

    metadata = MetaData(naming_convention=_NAMES)


class StudyRow(Base):
    """One study."""

    __tablename__ = "ft_study"

    id: Mapped[int] = mapped_column(Whole, primary_key=True)
    name: Mapped[str] = mapped_column(Name(64), unique=True)
    task: Mapped[str] = mapped_column(Name(64))
    metric: Mapped[str] = mapped_column(Name(64))
    maximize: Mapped[bool] = mapped_column(Boolean)
    backbone: Mapped[str] = mapped_column(Name(255))
    weights: Mapped[str] = mapped_column(Prose)
    target: Mapped[int] = mapped_column(Whole)
    dataset: Mapped[Any] = mapped_column(Plain)
    # What makes two studies the same search; compared whenever the name is used again.
    identity: Mapped[Any] = mapped_column(Plain)
    spec: Mapped[Any] = mapped_column(Plain)
    spec_text: Mapped[str] = mapped_column(Prose)
    units: Mapped[Any] = mapped_column(Plain)
    versions: Mapped[Any] = mapped_column(Plain)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    stopping: Mapped[bool] = mapped_column(Boolean, default=False)
    # Where checkpoints are, `address` and the `key` that marks the place; None before the first worker came.
    artifacts: Mapped[Any] = mapped_column(Plain, nullable=True)
    # Of a study that trains candidates of another one again (``store.repeats``): the other's name, and for what.
    parent: Mapped[str | None] = mapped_column(Name(64))
    kind: Mapped[str | None] = mapped_column(Name(16))


class TrialRow(Base):
    """One trial of a study: its candidate, its result, and the worker that runs it."""

    __tablename__ = "ft_trial"
    __table_args__ = (
        UniqueConstraint("study_id", "number", name="uq_ft_trial_study_id_number"),
        Index("ix_ft_trial_study_id_state", "study_id", "state"),
        Index("ix_ft_trial_study_id_value", "study_id", "value"),
    )

    id: Mapped[int] = mapped_column(Whole, primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("ft_study.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(Whole)
    state: Mapped[str] = mapped_column(Name(16))
    value: Mapped[float | None] = mapped_column(Real)
    # Of a study with several objectives: every one's value by name, once the trial is complete.
    objectives: Mapped[Any] = mapped_column(Plain, nullable=True)
    # By how much of its bound each constraint is broken, by its text; not `feasible` where one is above 0.
    constraints: Mapped[Any] = mapped_column(Plain, nullable=True)
    feasible: Mapped[bool | None] = mapped_column(Boolean)
    optuna_number: Mapped[int | None] = mapped_column(Whole)

    params: Mapped[Any] = mapped_column(Plain, nullable=True)
    distributions: Mapped[Any] = mapped_column(Plain, nullable=True)
    candidate: Mapped[Any] = mapped_column(Plain, nullable=True)
    words: Mapped[str] = mapped_column(Prose, default="")
    is_baseline: Mapped[bool] = mapped_column(Boolean, default=False)
    seed: Mapped[int | None] = mapped_column(LargeWhole)

    best_epoch: Mapped[int | None] = mapped_column(Whole)
    parameters: Mapped[int | None] = mapped_column(LargeWhole)
    trained: Mapped[int | None] = mapped_column(LargeWhole)
    flops: Mapped[int | None] = mapped_column(LargeWhole)
    unit_states: Mapped[Any] = mapped_column(Plain, nullable=True)
    evaluation: Mapped[Any] = mapped_column(Plain, nullable=True)
    ended: Mapped[str] = mapped_column(Prose, default="")
    failure_kind: Mapped[str | None] = mapped_column(Name(32))
    failure_message: Mapped[str | None] = mapped_column(Prose)
    failure_traceback: Mapped[str | None] = mapped_column(Prose)
    checkpoint: Mapped[str | None] = mapped_column(Prose)
    versions: Mapped[Any] = mapped_column(Plain, nullable=True)
    dataset_fingerprint: Mapped[str] = mapped_column(Name(128), default="")
    extras: Mapped[Any] = mapped_column(Plain, nullable=True)
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    seconds: Mapped[float] = mapped_column(Real, default=0.0)

    # The lease: whoever knows the token may write until `lease_until` (seconds since 1970 by the database's clock).
    worker: Mapped[str] = mapped_column(Name(255), default="")
    token: Mapped[str | None] = mapped_column(Name(32))
    lease_until: Mapped[float | None] = mapped_column(Real)
    attempts: Mapped[int] = mapped_column(Whole, default=0)
    # Attempts that count against the retries: their worker died, or its disk was full.
    lost: Mapped[int] = mapped_column(Whole, default=0)
    # One line for every attempt that did not finish.
    story: Mapped[Any] = mapped_column(Plain, nullable=True)
    # Names of the checkpoints from which the next attempt resumes, the newest first.
    resume: Mapped[Any] = mapped_column(Plain, nullable=True)


class EpochRow(Base):
    """One epoch of one trial; writing it again replaces it."""

    __tablename__ = "ft_epoch"

    trial_id: Mapped[int] = mapped_column(ForeignKey("ft_trial.id", ondelete="CASCADE"), primary_key=True)
    epoch: Mapped[int] = mapped_column(Whole, primary_key=True, autoincrement=False)
    train_loss: Mapped[float | None] = mapped_column(Real)
    seconds: Mapped[float] = mapped_column(Real)
    metrics: Mapped[Any] = mapped_column(Plain)
    learning_rates: Mapped[Any] = mapped_column(Plain)
    loss_terms: Mapped[Any] = mapped_column(Plain)


class WorkerRow(Base):
    """One worker of a study, seen whenever it renews its leases."""

    __tablename__ = "ft_worker"
    __table_args__ = (UniqueConstraint("study_id", "name", name="uq_ft_worker_study_id_name"),)

    id: Mapped[int] = mapped_column(Whole, primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("ft_study.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(Name(255))
    host: Mapped[str] = mapped_column(Name(255))
    process: Mapped[int] = mapped_column(Whole)
    device: Mapped[str] = mapped_column(Name(64))
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    seen: Mapped[float] = mapped_column(Real)
    # Why it left; None while it is running or has disappeared.
    left: Mapped[str | None] = mapped_column(Prose)


class FittedRow(Base):
    """How many samples of one structure fitted into the memory of one kind of device."""

    __tablename__ = "ft_fitted"

    study_id: Mapped[int] = mapped_column(ForeignKey("ft_study.id", ondelete="CASCADE"), primary_key=True)
    structure: Mapped[str] = mapped_column(Name(64), primary_key=True)
    device: Mapped[str] = mapped_column(Name(64), primary_key=True)
    samples: Mapped[int] = mapped_column(Whole)
