"""The checkpoints that the rows of a study refer to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, or_, select, update

from search.records.states import TrialState
from search.store.connection import reading, retried, writing
from search.store.stored_json import texts_of
from search.store.tables import StudyRow, TrialRow


@dataclass(frozen=True, slots=True)
class Owner:
    """A trial, confirmation or refit, with the checkpoints that are its own.

    Attributes:
        row: its key in the table of trials.
        kind: empty for a trial of the search, else ``confirm`` or ``refit``.
        checkpoint: the one that is kept; ``resume`` those it can go on from as long as it may, the newest first.
    """

    row: int
    kind: str
    number: int
    state: TrialState
    value: float | None
    checkpoint: str | None
    resume: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return self.resume if self.checkpoint is None else (self.checkpoint, *self.resume)

    @property
    def is_running(self) -> bool:
        """Whether a worker may still write checkpoints for it."""
        return self.state is TrialState.RUNNING

    @property
    def words(self) -> str:
        """Its name as users read it."""
        return f"{self.kind or 'trial'} {self.number}"


@retried
def owners(engine: Engine, study: str) -> tuple[Owner, ...]:
    """Return everything that owns checkpoints of ``study`` or may come to, including confirmations and refits."""
    unfinished = (TrialState.WAITING, TrialState.RUNNING, TrialState.FAILED)
    columns = (TrialRow.id, StudyRow.kind, TrialRow.number, TrialRow.state, TrialRow.value)
    asked = (
        select(*columns, TrialRow.checkpoint, TrialRow.resume)
        .join(StudyRow, StudyRow.id == TrialRow.study_id)
        .where(or_(StudyRow.name == study, StudyRow.parent == study))
        .where(or_(TrialRow.checkpoint.is_not(None), TrialRow.state.in_(unfinished)))
        .order_by(StudyRow.id, TrialRow.number)
    )
    with reading(engine) as connection:
        rows = connection.execute(asked).all()
    return tuple(
        Owner(
            row.id,
            row.kind or "",
            row.number,
            TrialState(row.state),
            row.value,
            row.checkpoint,
            texts_of(row.resume),
        )
        for row in rows
    )


@retried
def disown(engine: Engine, owner: Owner, names: Sequence[str]) -> None:
    """Remove these checkpoints from the row of ``owner``."""
    checkpoint = None if owner.checkpoint in names else owner.checkpoint
    resume = [name for name in owner.resume if name not in names] or None
    with writing(engine) as connection:
        connection.execute(
            update(TrialRow).where(TrialRow.id == owner.row).values(checkpoint=checkpoint, resume=resume)
        )


@retried
def move(engine: Engine, study: str, address: str, key: str) -> None:
    """Store ``address`` as the place of the checkpoints of ``study``."""
    with writing(engine) as connection:
        connection.execute(
            update(StudyRow).where(StudyRow.name == study).values(artifacts={"address": address, "key": key})
        )
