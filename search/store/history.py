"""The past trials of a study, read once and then kept up to date, for samplers and pruners of one process."""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, or_, select

from search.errors import NotFoundError
from search.records.dataset_similarity import distance, traits_of
from search.records.study import Json, PastTrial, Rejected, TrialState
from search.store.connection import reading, retried
from search.store.reading import ranked, study_record, study_row
from search.store.stored_json import extras_of, numbers_of
from search.store.tables import EpochRow, StudyRow, TrialRow

_COLUMNS = (
    TrialRow.id,
    TrialRow.number,
    TrialRow.state,
    TrialRow.value,
    TrialRow.params,
    TrialRow.distributions,
    TrialRow.candidate,
    TrialRow.seconds,
    TrialRow.failure_kind,
    TrialRow.extras,
    TrialRow.objectives,
    TrialRow.constraints,
)

_UNFINISHED = [state for state in TrialState if not state.is_finished]


class _Changed(NamedTuple):
    row_id: int
    trial: PastTrial
    curve: tuple[float, ...]


class StudyHistory:
    """All trials of a study and their curves.

    A finished trial is read once per process: it does not change unless it failed and is put back. Each
    refresh reads the new trials, those that are unfinished, and those that were the last time.
    """

    def __init__(self, engine: Engine, study: str, metric: str) -> None:
        self._engine = engine
        self._study = study
        self._metric = metric
        self._study_id: int | None = None
        self._trials: dict[int, PastTrial] = {}
        self._curves: dict[int, tuple[float, ...]] = {}
        self._fingerprints: dict[str, int] = {}
        self._open: set[int] = set()
        self._newest = 0

    def refresh(self) -> frozenset[int]:
        """Read what has changed; return the numbers of the trials whose curves may have."""
        if self._study_id is None:
            self._study_id = _id_of(self._engine, self._study)
        changed = _changed(self._engine, self._study_id, self._metric, self._newest, self._open)
        for row_id, trial, curve in changed:
            self._curves[trial.number] = curve
            self._trials[trial.number] = trial
            if trial.fingerprint:
                self._fingerprints.setdefault(trial.fingerprint, trial.number)
            self._newest = max(self._newest, row_id)
            (self._open.discard if trial.state.is_finished else self._open.add)(row_id)
        return frozenset(trial.number for _, trial, _ in changed)

    @property
    def trials(self) -> Sequence[PastTrial]:
        """Every trial as of the last refresh, by number."""
        return [self._trials[number] for number in sorted(self._trials)]

    def of(self, number: int) -> PastTrial | None:
        """Return trial ``number`` as of the last refresh; None if there is none yet."""
        return self._trials.get(number)

    @property
    def curves(self) -> Mapping[int, tuple[float, ...]]:
        """The objective of every epoch, by trial number."""
        return self._curves

    @property
    def fingerprints(self) -> Mapping[str, int]:
        """The fingerprint of every candidate, with the number of the first trial that had it."""
        return self._fingerprints

    @property
    def seconds(self) -> float:
        """Seconds of all trials so far, over all workers, including failed and running ones."""
        return math.fsum(trial.seconds for trial in self._trials.values())


@retried
def _id_of(engine: Engine, study: str) -> int:
    with reading(engine) as connection:
        number = connection.execute(select(StudyRow.id).where(StudyRow.name == study)).scalar_one_or_none()
    if number is None:
        raise NotFoundError(f"no study {study!r} in this store")
    return number


@retried
def _changed(engine: Engine, study_id: int, metric: str, newest: int, unfinished: Iterable[int]) -> list[_Changed]:
    """Return the trials above row ``newest``, those that are unfinished, and those that were: ``unfinished``."""
    # What is unfinished now may have been read as failed before: failed trials can be put back.
    fresh = or_(TrialRow.id > newest, TrialRow.state.in_(_UNFINISHED))
    earlier = sorted(unfinished)
    wanted = (TrialRow.study_id == study_id, or_(fresh, TrialRow.id.in_(earlier)) if earlier else fresh)
    epochs: dict[int, list[tuple[float, float]]] = defaultdict(list)
    with reading(engine) as connection:
        # States before epochs: trials that are finished here then have all their epochs.
        rows = connection.execute(select(*_COLUMNS).where(*wanted).order_by(TrialRow.id)).all()
        if rows:
            query = (
                select(EpochRow.trial_id, EpochRow.metrics, EpochRow.seconds)
                .join(TrialRow, TrialRow.id == EpochRow.trial_id)
                .where(*wanted)
                .order_by(EpochRow.trial_id, EpochRow.epoch)
            )
            for trial_id, metrics, seconds in connection.execute(query):
                epochs[trial_id].append((metrics.get(metric, math.nan), seconds))
    return [_Changed(row.id, _past(row, epochs[row.id]), tuple(value for value, _ in epochs[row.id])) for row in rows]


def _past(row: Any, epochs: Sequence[tuple[float, float]]) -> PastTrial:
    """Return the trial of ``row``; ``epochs`` are the objective and the seconds of each."""
    state, extras = TrialState(row.state), extras_of(row.extras)
    past = PastTrial(
        number=row.number,
        state=state,
        value=row.value,
        params=row.params or {},
        distributions=row.distributions or {},
        last_epoch=(len(epochs), epochs[-1][0]) if epochs else None,
        fingerprint=fingerprint(row.candidate) if row.candidate else "",
        seconds=row.seconds,
        failure_kind=row.failure_kind or "",
        cost=extras.get("cost", {}),
        known=extras.get("known", {}),
        objectives=numbers_of(row.objectives),
        constraints=numbers_of(row.constraints),
        rejected=tuple(Rejected(**one) for one in extras.get("rejected", ())),
        marks=extras.get("marks", {}),
    )
    spent = math.fsum(seconds for _, seconds in epochs)
    return past if state.is_finished else replace(past, seconds=max(past.seconds, spent))


def fingerprint(candidate: Json) -> str:
    """Return ``Candidate.fingerprint`` of a candidate in JSON form, without reading its decisions."""
    text = json.dumps(candidate, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@retried
def earlier_best(engine: Engine, study: str, count: int) -> tuple[tuple[str, int, Json], ...]:
    """Return study, number and candidate of the best trials of other studies of the same task and backbone.

    Studies take turns, each with its next best, as objectives on different data cannot be compared; those with the most
    similar data come first. At most ``count`` of each study.
    """
    with reading(engine) as connection:
        own = connection.execute(select(StudyRow.__table__).where(StudyRow.name == study)).one()
        others = connection.execute(
            select(StudyRow.__table__)
            .where(StudyRow.task == own.task, StudyRow.backbone == own.backbone, StudyRow.id != own.id)
            .where(StudyRow.parent.is_(None))
            .order_by(StudyRow.created_at.desc(), StudyRow.id.desc())
        ).all()
        here = traits_of(study_record(own, ()))
        near = sorted(others, key=lambda other: distance(here, traits_of(study_record(other, ()))))
        best = [list(_best_of(connection, other, count)) for other in near]
    return tuple(of_study[index] for index in range(count) for of_study in best if index < len(of_study))


def _best_of(connection: Connection, study: Any, count: int) -> Iterable[tuple[str, int, Json]]:
    order = TrialRow.value.desc() if study.maximize else TrialRow.value.asc()
    rows = connection.execute(
        select(TrialRow.number, TrialRow.candidate)
        .where(TrialRow.study_id == study.id, TrialRow.state == TrialState.COMPLETE, ranked())
        .order_by(order, TrialRow.number)
        .limit(count)
    )
    return [(study.name, row.number, row.candidate) for row in rows]


class OptunaTrial(NamedTuple):
    """The part of a trial that Optuna has to know."""

    state: TrialState
    value: float | None
    objectives: Mapping[str, float]
    constraints: Mapping[str, float]


@retried
def optuna_trials(engine: Engine, name: str) -> dict[int, OptunaTrial]:
    """Return the state of every trial that Optuna knows, by its number there."""
    columns = (TrialRow.optuna_number, TrialRow.state, TrialRow.value, TrialRow.objectives, TrialRow.constraints)
    with reading(engine) as connection:
        study = study_row(connection, name)
        rows = connection.execute(
            select(*columns).where(TrialRow.study_id == study.id, TrialRow.optuna_number.is_not(None))
        ).all()
    return {
        row.optuna_number: OptunaTrial(
            TrialState(row.state), row.value, numbers_of(row.objectives), numbers_of(row.constraints)
        )
        for row in rows
    }
