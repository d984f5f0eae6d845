"""Which checkpoints the rows of a study refer to."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, or_, select

from search.records.states import TrialState
from search.store.connection import reading, retried
from search.store.tables import StudyRow, TrialRow


@dataclass(frozen=True, slots=True)
class Owner:
    """A trial, confirmation or refit, with the checkpoints that are its own.

    Attributes:
        kind: empty for a trial of the search, else ``confirm`` or ``refit``.
        names: of its kept checkpoint, and of those it can be resumed from as long as it may be.
        is_running: a worker may write others at any moment.
    """

    kind: str
    number: int
    names: tuple[str, ...]
    is_running: bool


@retried
def owners(engine: Engine, study: str) -> tuple[Owner, ...]:
    """Return all that own, or may come to own, checkpoints of ``study``; confirmations and refits included."""
    columns = (StudyRow.kind, TrialRow.number, TrialRow.state, TrialRow.checkpoint, TrialRow.resume)
    asked = (
        select(*columns)
        .join(StudyRow, StudyRow.id == TrialRow.study_id)
        .where(or_(StudyRow.name == study, StudyRow.parent == study))
        .where(
            or_(
                TrialRow.checkpoint.is_not(None),
                TrialRow.state.in_((TrialState.WAITING, TrialState.RUNNING, TrialState.FAILED)),
            )
        )
    )
    with reading(engine) as connection:
        rows = connection.execute(asked).all()
    return tuple(
        Owner(
            str(row.kind or ""),
            row.number,
            tuple(filter(None, (row.checkpoint, *(row.resume or ())))),
            row.state == TrialState.RUNNING,
        )
        for row in rows
    )
