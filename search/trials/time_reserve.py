"""What a search keeps back of its budget, so that it ends with a model to use."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from search.records import choice
from search.records.study import StudyRecord, TrialRecord
from search.store import reading
from search.store.connection import Engine

if TYPE_CHECKING:  # not loaded: a launcher's process needs neither torch nor Optuna
    from search.spec.search_options import FinalOptions
    from search.spec.study_spec import StudySpec

EXPORT_S = 4.0
"""Seconds assumed for writing and checking the model's files."""
LEAST, LEAST_EPOCHS = 1 / 6, 3
"""A final training that has to be shorter than the winner's curve says keeps this share of its epochs, and so many: it
starts from the same solved head, and more images are worth more than more passes."""
_WIDE = 1.2
_FRESH_S = 1.0


def epochs_between(study: StudyRecord, trial: TrialRecord) -> tuple[int, int]:
    """Return the least and the most epochs of ``trial``'s final training."""
    most = choice.lasting_epochs(study, trial)
    return min(max(math.ceil(LEAST * most), LEAST_EPOCHS), most), most


def final_seconds(study: StudyRecord, trial: TrialRecord, epochs: int) -> float:
    """Return how long ``trial``'s final training takes, its export included."""
    return choice.training_seconds(study.trials, trial, epochs, choice.growth(study)) + EXPORT_S


def reserve_of(engine: Engine, spec: StudySpec, total_s: float | None) -> Reserve | None:
    """Return what a search keeps back of ``total_s``; None where that has no end, or the search no final model."""
    options = spec.search.final
    return None if options == "off" or total_s is None else Reserve(engine, spec.name, options, total_s)


@dataclass(slots=True)
class Reserve:
    """Says when the search has to end for the final model to be made within the budget.

    Attributes:
        total_s: the whole budget.
    """

    engine: Engine
    study: str
    options: FinalOptions
    total_s: float
    _is_over: bool = False
    _needed_s: float = 0.0
    _quickest_s: float = 0.0
    _growth: float = 1.0
    _looked: float = -math.inf
    _asked: float = field(default_factory=time.monotonic)

    def fits(self, seconds: float, left_s: float) -> bool:
        """Return whether a trial of so many ``seconds`` ends in time, and its final training too if it wins."""
        kept = self._kept_s(left_s)
        return seconds + max(kept, self._growth * seconds + EXPORT_S) <= left_s

    def is_reached(self, left_s: float) -> bool:
        """Return whether no further trial may start: the quickest so far would not end in time."""
        kept = self._kept_s(left_s)
        needed, quickest = self._look(left_s)
        self._is_over = self._is_over or left_s - (quickest if needed <= left_s else 0.0) <= kept
        return self._is_over

    def is_pressing(self, left_s: float) -> bool:
        """Return whether a running trial has to give way: another epoch like the last one would take too long.

        Asked once an epoch.
        """
        now = time.monotonic()
        epoch_s, self._asked = now - self._asked, now
        needed, _ = self._look(left_s)
        kept = needed if needed <= left_s else EXPORT_S  # too late for a final training: the export is kept back
        is_pressing = needed > 0 and left_s < kept + _WIDE * epoch_s
        self._is_over = self._is_over or is_pressing
        return is_pressing

    def _kept_s(self, left_s: float) -> float:
        needed, _ = self._look(left_s)
        # Where it cannot be had any more, the share is kept back still: the next winner may need less.
        return max(self.options.share * self.total_s, EXPORT_S, needed if needed <= left_s else 0.0)

    def _look(self, left_s: float) -> tuple[float, float]:
        """Return the seconds that the end needs, 0 before there is a winner, and those of the quickest trial."""
        # Nothing has to be known before half of the budget is gone, unless the end takes longer than that.
        if time.monotonic() - self._looked < max(_FRESH_S, left_s / 20):
            return self._needed_s, self._quickest_s
        study = reading.load_study(self.engine, self.study)
        winner = study.best
        self._growth = choice.growth(study)
        self._needed_s = 0.0
        if winner is not None:
            self._needed_s = final_seconds(study, winner, epochs_between(study, winner)[1])
        self._quickest_s = min((trial.seconds for trial in study.trials if trial.state.is_finished), default=0.0)
        self._looked = time.monotonic()
        return self._needed_s, self._quickest_s
