"""The part of its budget that a search reserves, so that it ends with a model to use."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from search.records import choice
from search.records.study import StudyRecord, TrialRecord
from search.store import reading
from search.store.connection import Engine

if TYPE_CHECKING:  # types only: a launcher's process needs neither torch nor Optuna
    from search.spec.final_options import FinalOptions
    from search.spec.study_spec import StudySpec

EXPORT_S = 4.0
"""Seconds allowed for writing and checking the model's files."""
LEAST, LEAST_EPOCHS = 1 / 6, 3
"""A final training that has to be shorter than the winner's curve says keeps this share of its epochs, and so many: it
starts from the same solved head, and more images are worth more than more passes."""
SHORTEST = 0.25
"""Smallest share of its epochs that a candidate is tried with."""
_WIDE = 1.2
_FRESH_S = 1.0


def epochs_between(study: StudyRecord, trial: TrialRecord) -> tuple[int, int]:
    """Return the fewest and the most epochs of ``trial``'s final training."""
    most = choice.lasting_epochs(study, trial)
    return min(max(math.ceil(LEAST * most), LEAST_EPOCHS), most), most


def final_seconds(study: StudyRecord, trial: TrialRecord, epochs: int, trainings: int = 1) -> float:
    """Return how long ``trial``'s final training takes, or several of them, including the export.

    Further ones reuse data and features of frozen units from the first.
    """
    growth, fresh = choice.growth(study), choice.fresh(study)
    further = (trainings - 1) * growth * epochs * choice.epoch_seconds(trial)
    return choice.training_seconds(study.trials, trial, epochs, growth, fresh) + further + EXPORT_S


def choosing_seconds(study: StudyRecord, among: Sequence[TrialRecord]) -> float:
    """Return how long retraining each of the best few, ``among``, takes; 0 if there is nothing to choose."""
    each = [choice.training_seconds(study.trials, trial, len(trial.epochs)) for trial in among]
    return sum(each) if len(each) > 1 else 0.0


def soup_of(options: FinalOptions, trial: TrialRecord) -> int:
    """Return how many trainings of ``trial`` to average: more than one only if its head starts solved and more learns.

    Heads that start at random end far from each other.
    """
    return options.soup if trial.extras.get("head_start") and len(trial.epochs) > 1 else 1


def soup_seconds(study: StudyRecord, trial: TrialRecord, options: FinalOptions) -> float:
    """Return how long all final trainings of ``trial`` take at full length."""
    return final_seconds(study, trial, epochs_between(study, trial)[1], soup_of(options, trial))


def reserve_of(engine: Engine, spec: StudySpec, total_s: float | None) -> Reserve | None:
    """Return what a search reserves of ``total_s``; None if that is unlimited, or if no final model is made."""
    options = spec.search.final
    return None if options == "off" or total_s is None else Reserve(engine, spec.name, options, total_s)


@dataclass(slots=True)
class Reserve:
    """Tells when the search has to end so that the final model can be made within the budget.

    Attributes:
        total_s: the whole budget.
    """

    engine: Engine
    study: str
    options: FinalOptions
    total_s: float
    _is_over: bool = False
    _least_s: float = 0.0
    _final_s: float = 0.0
    _wanted_s: float = 0.0
    _quickest_s: float = 0.0
    _growth: float = 1.0
    _fresh: float = 1.0
    _features_s: float = 0.0
    _looked: float = -math.inf
    _asked: float = field(default_factory=time.monotonic)

    def fits(self, seconds: float, left_s: float) -> bool:
        """Return whether a trial of that many ``seconds`` ends in time, and its final training too if it wins.

        Features of frozen units that the trial finds in the cache are computed there for what it was validated on.
        """
        kept = self._kept_s(left_s)
        final_s = self._growth * seconds + self._fresh * self._features_s + EXPORT_S
        return seconds + max(kept, final_s) <= left_s

    def is_reached(self, left_s: float) -> bool:
        """Return whether no further trial may start: even the quickest so far would not end in time."""
        kept = self._kept_s(left_s)
        quickest = self._quickest_s if self._final_s <= left_s else 0.0
        is_late = left_s - quickest <= kept or (quickest > 0 and not self.fits(quickest, left_s))
        self._is_over = self._is_over or is_late
        return self._is_over

    def is_pressing(self, left_s: float) -> bool:
        """Return whether a running trial has to yield: another epoch like the last one would take too long.

        Asked once an epoch.
        """
        now = time.monotonic()
        epoch_s, self._asked = now - self._asked, now
        self._look(left_s)
        # Too late for a final training: only the export is reserved.
        kept = self._final_s if self._final_s <= left_s else EXPORT_S
        is_pressing = self._final_s > 0 and left_s < kept + _WIDE * epoch_s
        self._is_over = self._is_over or is_pressing
        return is_pressing

    def _kept_s(self, left_s: float) -> float:
        """Return the seconds reserved: all that the end should take, or what is left of that.

        If there is no time even for a short training of the winner, the next winner may need less.
        """
        self._look(left_s)
        return max(min(self._wanted_s, left_s) if self._least_s <= left_s else 0.0, EXPORT_S)

    def _look(self, left_s: float) -> None:
        """Find out what the end takes, 0 s before there is a winner, and how long the quickest trial took."""
        # Nothing needs to be known in the first half of the budget, unless the end takes longer than that.
        if time.monotonic() - self._looked < max(_FRESH_S, left_s / 20):
            return
        study = reading.load_study(self.engine, self.study)
        winner = study.best
        self._growth, self._fresh = choice.growth(study), choice.fresh(study)
        # Before there is any training, what one takes is predicted with all its features.
        has_trained = any(len(trial.epochs) > 1 for trial in study.trials)
        self._features_s = max(map(choice.features_seconds, study.trials), default=0.0) if has_trained else 0.0
        self._least_s = self._final_s = self._wanted_s = 0.0
        if winner is not None:
            least, epochs = epochs_between(study, winner)
            self._least_s = final_seconds(study, winner, least)
            self._final_s = final_seconds(study, winner, epochs)
            soup_s = soup_seconds(study, winner, self.options)
            choosing_s = choosing_seconds(study, choice.may_be_best(study, self.options.top))
            most = self.options.share * self.total_s
            wanted = next((one for one in (soup_s + choosing_s, soup_s) if one <= most), most)
            self._wanted_s = max(self._final_s, wanted)
        finished = [trial for trial in study.trials if trial.state.is_finished]
        # Once a network has been trained, the time for a mere linear probe is no measure.
        trained = [SHORTEST * trial.seconds for trial in finished if len(trial.epochs) > 1]
        self._quickest_s = min(trained or [trial.seconds for trial in finished], default=0.0)
        self._looked = time.monotonic()
