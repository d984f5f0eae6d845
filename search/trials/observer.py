"""Observers of running trials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from search.records.study import EpochRecord, TrialRecord, TrialState
from search.store.reading import Progress

OBSERVED = {"observed": True}
"""Marks log records of what observers are told too, so that who shows both can leave one out."""


class Observer(Protocol):
    """Notified as trials run: a progress bar, a log, a test. Subclasses define the events they handle."""

    def study_opened(self, metric: str, progress: Progress, winner: Callable[[], TrialRecord | None]) -> None:
        """The study is in the store; ``progress`` is how far it was when this run began, ``winner`` reads who leads."""

    def stage_began(self, noun: str, progress: Progress) -> None:
        """The search is over; trainings of another kind, called ``noun``, begin and are reported like trials."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """Images are being decoded, once for all trials: ``done`` of ``total``; ``what`` says which."""

    def trial_started(self, number: int, words: str, epochs: int) -> None:
        """A trial begins to train."""

    def epoch_done(self, number: int, epoch: EpochRecord) -> None:
        """An epoch has ended and is in the store."""

    def trial_ended(self, number: int, state: TrialState, value: float | None, ended: str) -> None:
        """A trial has ended, or was handed back (``WAITING``)."""


class Silent(Observer):
    """An observer that ignores everything."""
