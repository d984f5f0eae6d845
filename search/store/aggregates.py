"""Studies of any size, for pages: all trials in outline, curves and structures only on request.

An outline costs one pass over narrow columns. ``changes`` reads what happened since: by index, as many rows as are new.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine, Text, cast, func, select

from search.records.study import EpochRecord, Size, StudyRecord, TrialRecord, TrialState
from search.store import repeats
from search.store.connection import reading, retried
from search.store.reading import (
    aware,
    curves_where,
    failure_of,
    plain_columns,
    study_record,
    study_row,
    trial_record,
)
from search.store.stored_json import extras_of, numbers_of
from search.store.tables import EpochRow, StudyRow, TrialRow, restored

_CHUNK = 400
_DECODE = json.JSONDecoder().raw_decode
"""What ``json.loads`` does after looking for white space, which a database's own JSON does not begin with."""
_STATES = {state.value: state for state in TrialState}
_OPEN = (TrialState.WAITING, TrialState.RUNNING)
_OUTLINE = (
    TrialRow.number,
    TrialRow.state,
    TrialRow.value,
    TrialRow.words,
    TrialRow.is_baseline,
    TrialRow.seed,
    TrialRow.best_epoch,
    TrialRow.parameters,
    TrialRow.trained,
    TrialRow.flops,
    TrialRow.ended,
    TrialRow.failure_kind,
    TrialRow.failure_message,
    TrialRow.checkpoint,
    TrialRow.started_at,
    TrialRow.finished_at,
    TrialRow.seconds,
    TrialRow.worker,
    TrialRow.attempts,
    cast(TrialRow.params, Text).label("params"),
    cast(TrialRow.extras, Text).label("extras"),
    cast(TrialRow.objectives, Text).label("objectives"),
    cast(TrialRow.constraints, Text).label("constraints"),
)


@retried
def outline(engine: Engine, name: str) -> StudyRecord:
    """Return the study with all its trials, but without their curves, candidates, structures and evaluations.

    Raises:
        NotFoundError: no such study; suggests the nearest name.
    """
    with reading(engine) as connection:
        study = study_row(connection, name)
        rows = connection.execute(
            select(*_OUTLINE).where(TrialRow.study_id == study.id).order_by(TrialRow.number)
        ).all()
        return repeats.attached(connection, study_record(study, tuple(_outlined(row) for row in rows)))


@retried
def head(engine: Engine, name: str) -> StudyRecord:
    """Return the study without its trials."""
    with reading(engine) as connection:
        return repeats.attached(connection, study_record(study_row(connection, name), ()))


@retried
def changes(engine: Engine, name: str, after: int, unfinished: Iterable[int]) -> tuple[TrialRecord, ...]:
    """Return outlines of the trials that may have changed: numbers above ``after``, running ones, and ``unfinished``.

    A finished trial changes only when it is reopened, so nothing else needs to be read.
    """
    with reading(engine) as connection:
        study = study_row(connection, name)
        trials: dict[int, TrialRecord] = {}
        conditions = [TrialRow.number > after, TrialRow.state.in_(_OPEN)]
        conditions += [TrialRow.number.in_(chunk) for chunk in _chunks(sorted(unfinished))]
        for condition in conditions:
            rows = connection.execute(select(*_OUTLINE).where(TrialRow.study_id == study.id, condition)).all()
            trials |= {row.number: _outlined(row) for row in rows}
    return tuple(trials[number] for number in sorted(trials))


@retried
def details(engine: Engine, name: str, numbers: Sequence[int]) -> dict[int, TrialRecord]:
    """Return the trials ``numbers`` complete except for their curves."""
    with reading(engine) as connection:
        study = study_row(connection, name)
        rows = [
            row
            for chunk in _chunks(numbers)
            for row in connection.execute(
                select(TrialRow.__table__).where(TrialRow.study_id == study.id, TrialRow.number.in_(chunk))
            ).all()
        ]
    return {row.number: trial_record(row, ()) for row in rows}


@retried
def curves(engine: Engine, name: str, numbers: Sequence[int]) -> dict[int, tuple[EpochRecord, ...]]:
    """Return the epochs of trials ``numbers``."""
    with reading(engine) as connection:
        study = study_row(connection, name)
        by_number: dict[int, tuple[EpochRecord, ...]] = {}
        for chunk in _chunks(numbers):
            ids = connection.execute(
                select(TrialRow.id, TrialRow.number).where(TrialRow.study_id == study.id, TrialRow.number.in_(chunk))
            ).all()
            by_id = curves_where(connection, EpochRow.trial_id.in_([row.id for row in ids]))
            by_number |= {row.number: by_id[row.id] for row in ids if row.id in by_id}
    return by_number


@retried
def epochs_run(engine: Engine, name: str, after: int = -1) -> dict[int, int]:
    """Return how many epochs every trial with a number above ``after`` has run."""
    with reading(engine) as connection:
        study = study_row(connection, name)
        rows = connection.execute(
            select(TrialRow.number, func.count())
            .join(EpochRow, TrialRow.id == EpochRow.trial_id)
            .where(TrialRow.study_id == study.id, TrialRow.number > after)
            .group_by(TrialRow.number)
        ).all()
    return {row[0]: row[1] for row in rows}


@retried
def structures(engine: Engine, name: str, after: int = -1) -> dict[int, tuple[str, ...]]:
    """Return what was done with every unit, of every trial with a number above ``after`` that has been built."""
    with reading(engine) as connection:
        study = study_row(connection, name)
        rows = connection.execute(
            select(TrialRow.number, cast(TrialRow.unit_states, Text)).where(
                TrialRow.study_id == study.id, TrialRow.number > after, TrialRow.parameters.is_not(None)
            )
        ).all()
    read = {text: tuple(json.loads(text) or ()) for text in {row[1] for row in rows} if text}  # most trials share one
    return {row[0]: read[row[1]] for row in rows if row[1]}


def spaces(engine: Engine, name: str, trials: Sequence[TrialRecord]) -> dict[str, str]:
    """Return the range of every parameter of ``trials`` in Optuna's JSON: it is the same in all that have it."""
    wanted: dict[str, int] = {}
    for trial in trials:
        for parameter in trial.params:
            wanted.setdefault(parameter, trial.number)
    ranges: dict[str, str] = {}
    for record in details(engine, name, sorted(set(wanted.values()))).values():
        for parameter, space in record.distributions.items():
            ranges.setdefault(parameter, space)
    return ranges


def with_spaces(trial: TrialRecord, spaces: Mapping[str, str]) -> TrialRecord:
    """Return ``trial`` with the ranges of its parameters."""
    return replace(trial, distributions={name: spaces[name] for name in trial.params if name in spaces})


@dataclass(frozen=True, slots=True)
class WorkerActivity:
    """What one worker has done, over all studies of the store.

    Attributes:
        running: study and number of the trials it holds now.
        seconds: of the trials it finished.
    """

    name: str
    finished: int
    failed: int
    seconds: float
    last: Any
    running: tuple[tuple[str, int], ...]


@retried
def workers(engine: Engine) -> tuple[WorkerActivity, ...]:
    """Return every worker named by a trial: those at work first, then the most recent."""
    with reading(engine) as connection:
        rows = connection.execute(
            select(
                TrialRow.worker,
                TrialRow.state,
                func.count().label("trials"),
                func.sum(TrialRow.seconds).label("seconds"),
                func.max(TrialRow.finished_at).label("last"),
            )
            .where(TrialRow.worker != "")
            .group_by(TrialRow.worker, TrialRow.state)
        ).all()
        running = _running(connection)
    names = sorted({row.worker for row in rows})
    activities = []
    for name in names:
        own = [row for row in rows if row.worker == name]
        ended = [row for row in own if TrialState(row.state).is_finished]
        last = max((aware(row.last) for row in ended if row.last is not None), default=None)
        activities.append(
            WorkerActivity(
                name,
                sum(row.trials for row in ended),
                sum(row.trials for row in ended if row.state == TrialState.FAILED),
                float(sum(row.seconds or 0.0 for row in ended)),
                last,
                running.get(name, ()),
            )
        )
    activities.sort(key=lambda worker: (worker.last is not None, worker.last), reverse=True)
    return tuple(sorted(activities, key=lambda worker: not worker.running))


def _running(connection: Connection) -> dict[str, tuple[tuple[str, int], ...]]:
    rows = connection.execute(
        select(TrialRow.worker, StudyRow.name, TrialRow.number)
        .join(StudyRow, StudyRow.id == TrialRow.study_id)
        .where(TrialRow.state == TrialState.RUNNING)
        .order_by(TrialRow.number)
    ).all()
    running: dict[str, tuple[tuple[str, int], ...]] = {}
    for worker, study, number in rows:
        running[worker] = (*running.get(worker, ()), (study, number))
    return running


def _chunks(numbers: Sequence[int]) -> list[Sequence[int]]:
    return [numbers[index : index + _CHUNK] for index in range(0, len(numbers), _CHUNK)]


def _plain(text: str | None) -> dict[str, Any]:
    """Return the JSON object in ``text``: the column's own deserialiser would visit every value of every trial."""
    if not text:
        return {}
    data, _ = _DECODE(text)
    return restored(data) if "$number" in text else data or {}


def _outlined(row: Any) -> TrialRecord:
    size = None if row.parameters is None else Size(row.parameters, row.trained, row.flops)
    return TrialRecord(
        **plain_columns(row),
        state=_STATES[row.state],
        params=dict(_plain(row.params)),
        size=size,
        failure=failure_of(row.failure_kind, row.failure_message),
        extras=extras_of(_plain(row.extras)),
        objectives=numbers_of(_plain(row.objectives)),
        constraints=numbers_of(_plain(row.constraints)),
    )
