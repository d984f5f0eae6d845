"""The curves of all trials, kept up to date at the cost of what is new: pruners look at them after every epoch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Engine, or_, select

from search.records import TrialState
from search.store.connection import reading, retried
from search.store.tables import EpochRow, StudyRow, TrialRow


@dataclass(slots=True)
class Curves:
    """One metric of every epoch of every trial of a study, by trial number, in order of epochs.

    Trials that have ended change no more, so they are read once; the others are read at every look.
    """

    engine: Engine
    study: str
    metric: str
    _ended: dict[int, list[float]] = field(default_factory=dict)
    _open: dict[int, list[float]] = field(default_factory=dict)
    _open_ids: set[int] = field(default_factory=set)
    _last_id: int = 0

    def look(self) -> Mapping[int, list[float]]:
        """Return the curves as they are now."""
        states, found = _read(self.engine, self.study, self.metric, self._last_id, frozenset(self._open_ids))
        self._open = {}
        for trial_id, (number, state) in states.items():
            if state.is_finished:
                self._ended[number] = found.get(trial_id, [])
                self._open_ids.discard(trial_id)
            else:
                self._ended.pop(number, None)
                self._open[number] = found.get(trial_id, [])
                self._open_ids.add(trial_id)
        self._last_id = max([self._last_id, *states])
        return {number: curve for number, curve in (self._ended | self._open).items() if curve}


@retried
def _read(
    engine: Engine, study: str, metric: str, after: int, ids: frozenset[int]
) -> tuple[dict[int, tuple[int, TrialState]], dict[int, list[float]]]:
    """Return number and state by trial id, and the curves by trial id, of new trials and of those in ``ids``."""
    wanted = or_(TrialRow.id > after, TrialRow.id.in_(ids))
    curves: dict[int, list[float]] = defaultdict(list)
    with reading(engine) as connection:
        own = select(TrialRow.id, TrialRow.number, TrialRow.state)
        own = own.join(StudyRow, StudyRow.id == TrialRow.study_id).where(StudyRow.name == study, wanted)
        states = {row.id: (row.number, TrialState(row.state)) for row in connection.execute(own)}
        rows = connection.execute(
            select(EpochRow.trial_id, EpochRow.metrics)
            .join(TrialRow, TrialRow.id == EpochRow.trial_id)
            .join(StudyRow, StudyRow.id == TrialRow.study_id)
            .where(StudyRow.name == study, wanted)
            .order_by(EpochRow.trial_id, EpochRow.epoch)
        )
        for trial_id, metrics in rows:
            curves[trial_id].append(metrics[metric])
    return states, dict(curves)
