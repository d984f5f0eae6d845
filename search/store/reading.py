"""Reads rows into records."""

from __future__ import annotations

import difflib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, and_, case, false, func, select, true

from search.errors import NotFoundError
from search.records.plain_text import printable_lines, shortened, stored_line
from search.records.study import (
    DatasetRecord,
    EpochRecord,
    Evaluation,
    Failure,
    Objective,
    Overlap,
    Size,
    StudyRecord,
    TrialRecord,
    TrialState,
    UnitRecord,
    rank_key,
)
from search.records.uncertainty import difference_error
from search.store import repeats
from search.store.connection import reading, retried
from search.store.stored_json import extras_of, identity_of, numbers_of, params_of, spec_of, text_of
from search.store.tables import EpochRow, StudyRow, TrialRow

_FEW = 50
"""Best trials read at first to find the winner among."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a study.

    Attributes:
        states: number of trials by state.
        baseline: the plain recipe's objective; None until there is one.
    """

    target: int
    states: Mapping[TrialState, int]
    baseline: float | None
    stopping: bool

    @property
    def finished(self) -> int:
        return sum(count for state, count in self.states.items() if state.is_finished)

    @property
    def unfinished(self) -> int:
        """Trials that are running or waiting in the queue."""
        return sum(count for state, count in self.states.items() if not state.is_finished)


@dataclass(frozen=True, slots=True)
class Summary:
    """A study in the list of studies.

    Attributes:
        best: the winner's objective; None until there is one.
        leak: says in words that validation samples are in training too; empty where none are.
    """

    name: str
    task: str
    backbone: str
    metric: str
    created_at: datetime
    progress: Progress
    best: float | None
    leak: str = ""


@retried
def load_study(engine: Engine, name: str, *, epochs: bool = True, trials: bool = True) -> StudyRecord:
    """Return the study with its trials, without their curves if ``epochs`` is false; no trials if ``trials`` is.

    Raises:
        NotFoundError: no such study; suggests the nearest name.
    """
    with reading(engine) as connection:
        study = study_row(connection, name)
        rows = connection.execute(
            select(TrialRow.__table__)
            .where(TrialRow.study_id == study.id, true() if trials else false())
            .order_by(TrialRow.number)
        ).all()
        curves = curves_where(connection, TrialRow.study_id == study.id) if epochs and trials else {}
        record = study_record(study, tuple(trial_record(row, curves.get(row.id, ())) for row in rows))
        return repeats.attached(connection, record)


def _dataset_record(dataset: Any) -> DatasetRecord:
    return DatasetRecord(
        stored_line(dataset["name"]),
        tuple(map(stored_line, dataset["classes"])),
        {split: dict(by_class) for split, by_class in dataset["counts"].items()},
        dataset["fingerprint"],
        tuple(map(stored_line, dataset["skipped"])),
        {split: int(count) for split, count in dataset.get("sizes", {}).items()},
        dataset.get("inputs", "images"),
        dataset.get("outputs", "classes"),
        image_statistics=numbers_of(dataset.get("image_statistics", dataset.get("looks"))),  # an earlier name
        noun=stored_line(dataset.get("noun") or ("images" if dataset.get("inputs", "images") == "images" else "texts")),
        overlaps=tuple(map(_overlap, dataset.get("overlaps", ()))),
    )


def _overlap(found: Any) -> Overlap:
    first = stored_line(found["first"])
    return Overlap(stored_line(found["split"]), int(found["count"]), int(found["total"]), first)


def study_record(row: Any, trials: tuple[TrialRecord, ...]) -> StudyRecord:
    """Return the study of ``row`` with ``trials``."""
    return StudyRecord(
        name=stored_line(row.name),
        task=stored_line(row.task),
        metric=stored_line(row.metric),
        maximize=row.maximize,
        backbone=stored_line(row.backbone),
        weights=stored_line(row.weights),
        dataset=_dataset_record(row.dataset),
        target=row.target,
        spec=spec_of(row.spec),
        spec_text=row.spec_text,
        identity=identity_of(row.identity),
        units=tuple(map(_unit_of, row.units)),
        trials=trials,
        created_at=aware(row.created_at),
        versions=dict(row.versions or {}),
        parent=row.parent or "",
    )


def _unit_of(stored: Any) -> UnitRecord:
    unit = UnitRecord(**stored)
    return UnitRecord(str(unit.name), int(unit.parameters), int(unit.flops), int(unit.reduction))


def study_row(connection: Connection, name: str) -> Any:
    """Return the row of the study ``name``.

    Raises:
        NotFoundError: no such study; suggests the nearest name.
    """
    row = connection.execute(select(StudyRow.__table__).where(StudyRow.name == name)).one_or_none()
    if row is not None:
        return row
    names = list(connection.execute(select(StudyRow.name).where(StudyRow.parent.is_(None))).scalars())
    near = difflib.get_close_matches(name, names, 1)
    hint = (
        f"did you mean {shortened(near[0])!r}?"
        if near
        else "`ftsearch studies` lists what is there"
        if names
        else "it holds none yet"
    )
    raise NotFoundError(f"no study {shortened(name)!r} in this store; {hint}")


def curves_where(connection: Connection, condition: Any) -> dict[int, tuple[EpochRecord, ...]]:
    """Return the epochs of the trials that meet ``condition``, by the id of their row."""
    curves: dict[int, list[EpochRecord]] = defaultdict(list)
    rows = connection.execute(
        select(EpochRow.__table__)
        .join(TrialRow, TrialRow.id == EpochRow.trial_id)
        .where(condition)
        .order_by(EpochRow.trial_id, EpochRow.epoch)
    )
    for row in rows:
        loss = math.nan if row.train_loss is None else row.train_loss
        curves[row.trial_id].append(
            EpochRecord(
                row.epoch, loss, numbers_of(row.metrics), numbers_of(row.learning_rates), row.loss_terms, row.seconds
            )
        )
    return {trial: tuple(records) for trial, records in curves.items()}


def trial_record(row: Any, epochs: tuple[EpochRecord, ...]) -> TrialRecord:
    """Return the trial of ``row`` with ``epochs``."""
    size = None
    if row.parameters is not None:
        size = Size(row.parameters, row.trained, row.flops, tuple(map(str, row.unit_states or ())))
    failure = failure_of(row.failure_kind, row.failure_message, row.failure_traceback)
    if not isinstance(row.candidate, dict | None):
        raise TypeError(f"the candidate of trial {row.number} is not a mapping")
    return TrialRecord(
        **plain_columns(row),
        state=TrialState(row.state),
        params=params_of(row.params),
        distributions=dict(row.distributions or {}),
        candidate=row.candidate,
        epochs=epochs,
        size=size,
        evaluation=Evaluation.from_json(row.evaluation) if row.evaluation else None,
        failure=failure,
        versions=dict(row.versions or {}),
        dataset_fingerprint=row.dataset_fingerprint,
        extras=extras_of(row.extras),
        objectives=numbers_of(row.objectives),
        constraints=numbers_of(row.constraints),
    )


def failure_of(kind: str | None, *texts: str | None) -> Failure | None:
    """Return why a trial failed, as it can be printed; ``texts`` are the message and, maybe, the traceback."""
    return None if kind is None else Failure(*(printable_lines(text or "") for text in (kind, *texts)))


def plain_columns(row: Any) -> dict[str, Any]:
    """Return the fields of a TrialRecord that every reader of ``row`` takes as they are."""
    return {
        "number": row.number,
        "value": row.value,
        "words": stored_line(row.words),
        "is_baseline": row.is_baseline,
        "seed": row.seed,
        "best_epoch": row.best_epoch,
        "ended": stored_line(row.ended),
        "attempts": row.attempts,
        "worker": row.worker and stored_line(row.worker),
        "started_at": aware(row.started_at),
        "finished_at": aware(row.finished_at),
        "seconds": row.seconds,
        "checkpoint": row.checkpoint,
    }


def ranked() -> Any:
    """Return the condition under which a complete trial is ranked: it has a value and breaks no constraint."""
    return and_(TrialRow.value.is_not(None), TrialRow.feasible.is_not(False))


def aware(moment: datetime | None) -> Any:
    """Return ``moment`` in UTC: SQLite forgets the time zone it was given."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


@retried
def progress(engine: Engine, name: str) -> Progress:
    """Return the progress of the study ``name``, without reading its trials."""
    with reading(engine) as connection:
        return _progress(connection, study_row(connection, name))


def _progress(connection: Connection, study: Any) -> Progress:
    rows = connection.execute(
        select(TrialRow.state, func.count()).where(TrialRow.study_id == study.id).group_by(TrialRow.state)
    ).all()
    baseline = connection.execute(
        select(TrialRow.value).where(TrialRow.study_id == study.id, TrialRow.is_baseline)
    ).scalar()
    return Progress(study.target, {TrialState(row[0]): row[1] for row in rows}, baseline, study.stopping)


@retried
def list_studies(engine: Engine) -> tuple[Summary, ...]:
    """Return a summary of every study, the newest first."""
    with reading(engine) as connection:
        rows = connection.execute(
            select(StudyRow.__table__)
            .where(StudyRow.parent.is_(None))
            .order_by(StudyRow.created_at.desc(), StudyRow.id.desc())
        ).all()
        return tuple(_summary(connection, row) for row in rows)


def _summary(connection: Connection, row: Any) -> Summary:
    leak = _dataset_record(row.dataset).leak
    name, task, backbone, metric = (stored_line(text) for text in (row.name, row.task, row.backbone, row.metric))
    progress, best = _progress(connection, row), _winner(connection, row)
    return Summary(name, task, backbone, metric, aware(row.created_at), progress, best.value if best else None, leak)


@retried
def winner(engine: Engine, name: str) -> TrialRecord | None:
    """Return the winner of the study ``name``, ``StudyRecord.best``, without its curves; None until there is one.

    Raises:
        NotFoundError: no such study; suggests the nearest name.
    """
    with reading(engine) as connection:
        return _winner(connection, study_row(connection, name))


def _winner(connection: Connection, study: Any) -> TrialRecord | None:
    """Return the winner of the row ``study``: ``StudyRecord.best``, of as few trials as decide it."""
    whole = repeats.attached(connection, study_record(study, ()))
    again, most = {one.trial for one in whole.repeats}, _FEW
    done = (TrialRow.study_id == study.id, TrialRow.state == TrialState.COMPLETE, ranked())
    wanted = select(TrialRow.__table__).where(*done)
    order = TrialRow.value.desc() if study.maximize else TrialRow.value.asc()
    while True:
        first = connection.execute(wanted.order_by(order).limit(most)).all()
        rows = {row.number: row for row in (*first, *connection.execute(wanted.where(TrialRow.number.in_(again))))}
        found = replace(whole, trials=tuple(trial_record(row, ()) for _, row in sorted(rows.items())))
        if found.contenders or len(first) < most or not _may_win(found, found.ranking[-1]):
            return found.best
        most *= 4


def _may_win(study: StudyRecord, trial: TrialRecord) -> bool:
    """Return whether ``trial``, or one that ranks behind it, may be chosen instead of the first of the ranking."""
    first = study.ranking[0]
    if trial.value == first.value or len(study.objectives) > 1:
        return trial.value == first.value
    error = difference_error(study.metric, first, trial, study.dataset.samples().get("val", 0))
    is_near = error is not None and abs((first.value or 0.0) - (trial.value or 0.0)) <= error
    return is_near or trial.backbone != first.backbone


@retried
def kept_checkpoints(engine: Engine, name: str) -> tuple[tuple[int, str], ...]:
    """Return number and checkpoint of every trial that has one: complete ones as they rank, then the others."""
    with reading(engine) as connection:
        study = study_row(connection, name)
        counts = case((and_(TrialRow.state == TrialState.COMPLETE, ranked()), 0), else_=1).label("counts")
        rows = connection.execute(
            select(*_STANDING, TrialRow.checkpoint, counts).where(
                TrialRow.study_id == study.id, TrialRow.checkpoint.is_not(None)
            )
        ).all()
    wanted = study_record(study, ()).objectives
    ordered = sorted(rows, key=lambda row: (row.counts, _rank_key(wanted, row)))
    return tuple((row.number, row.checkpoint) for row in ordered)


@retried
def best_rank_keys(engine: Engine, name: str, count: int) -> tuple[tuple[float, ...], ...]:
    """Return the rank keys of the ``count`` best complete trials (``search.records.study.rank_key``), the best first.

    Only those that reach the value of the ``count``-th best are read.
    """
    with reading(engine) as connection:
        study = study_row(connection, name)
        order = TrialRow.value.desc() if study.maximize else TrialRow.value.asc()
        done = (TrialRow.study_id == study.id, TrialRow.state == TrialState.COMPLETE, ranked())
        last = connection.execute(
            select(TrialRow.value).where(*done).order_by(order).offset(count - 1).limit(1)
        ).scalar_one_or_none()
        reached = () if last is None else (TrialRow.value >= last if study.maximize else TrialRow.value <= last,)
        rows = connection.execute(select(*_STANDING).where(*done, *reached)).all()
    wanted = study_record(study, ()).objectives
    return tuple(sorted(_rank_key(wanted, row) for row in rows))[:count]


_STANDING = (TrialRow.number, TrialRow.value, TrialRow.objectives, TrialRow.parameters, TrialRow.flops)


def _rank_key(wanted: Sequence[Objective], row: Any) -> tuple[float, ...]:
    size = None if row.parameters is None else Size(row.parameters, 0, row.flops)
    return rank_key(wanted, row.value, row.objectives or {}, size, row.number)


@dataclass(frozen=True, slots=True)
class TrialStatus:
    """The state of one trial."""

    number: int
    state: TrialState
    value: float | None
    words: str
    ended: str


@retried
def trial_states(engine: Engine, name: str) -> tuple[TrialStatus, ...]:
    """Return the state of every trial, in order of number, without curves and candidates."""
    with reading(engine) as connection:
        study = study_row(connection, name)
        rows = connection.execute(
            select(TrialRow.number, TrialRow.state, TrialRow.value, TrialRow.words, TrialRow.ended)
            .where(TrialRow.study_id == study.id)
            .order_by(TrialRow.number)
        ).all()
    return tuple(
        TrialStatus(row.number, TrialState(row.state), row.value, stored_line(row.words), stored_line(row.ended))
        for row in rows
    )


@retried
def artifacts_of(engine: Engine, name: str) -> tuple[str, str] | None:
    """Return address and key of the study's checkpoints; None before its first worker."""
    with reading(engine) as connection:
        place = study_row(connection, name).artifacts
    return None if place is None else (text_of(place["address"]), text_of(place["key"]))
