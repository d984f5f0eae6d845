"""The end of a search: the best few are retrained, then the winner is trained on training and validation data together.

The trainings are queued once, by whichever worker comes first; leases, resuming and retries work as for all trainings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from search.errors import FinetuneError
from search.records import choice
from search.records.study import StudyRecord, TrialRecord, TrialState
from search.spec.final_options import FinalOptions
from search.spec.study_spec import StudySpec
from search.store import reading, repeats
from search.store.connection import Engine
from search.store.repeats import CONFIRM, FINAL, RetrainingRequest
from search.trials import confirmation
from search.trials.refit import JOINED
from search.trials.resampled import fresh_seed
from search.trials.time_reserve import (
    EXPORT_S,
    choosing_seconds,
    epochs_between,
    final_seconds,
    soup_of,
    soup_seconds,
)
from spaces.candidate import Candidate

MOST_SEEDS = 2
"""Fresh trainings of each of the best few: with this few validation samples, more would add little."""
SOUPS_SHARE = 0.25
"""How long the trainings of a soup may take in a study without a time limit, as a share of what its trials took."""
_UNFORESEEN = 2
"""Final trainings offered beyond those expected to fit: one begins while there is time for another like the last, and
the trials of a busy machine promise too few."""
Train = Callable[[str, str, float], None]
"""Runs the trainings of a kind, queued under a name, until all are done or that many seconds have passed."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the end of a study is run.

    Attributes:
        left: seconds left of the budget; infinity without one.
        train: in this process, or by workers.
    """

    engine: Engine
    spec: StudySpec
    options: FinalOptions
    left: Callable[[], float]
    train: Train

    def conclude(self) -> tuple[str, ...]:
        """Choose among the best few and train the winner for use; return why any of that was left out.

        A study whose winner already has a final model, and no new trials, is unchanged.
        """
        study = self._study()
        if choice.is_settled(study) or study.best is None:
            return ()
        chosen = self._tried("the best candidates were not trained again", lambda: self._choose(study))
        final = self._tried("no final model", lambda: self._finish(self._study()))
        return tuple(note for note in (chosen, final) if note)

    def _study(self) -> StudyRecord:
        return reading.load_study(self.engine, self.spec.name)

    def _tried(self, what: str, action: Callable[[], str]) -> str:
        """Run ``action``; return ``what`` with the reason it gives or fails with, empty if it succeeds."""
        try:
            reason = action()
        except FinetuneError as error:
            reason = str(error)
        return f"{what}: {reason}" if reason else ""

    def _choose(self, study: StudyRecord) -> str:
        """Retrain the best few, or as many of them as there is time for; return why not, if they were not."""
        seeds, reason, among = 0, "", choice.may_be_best(study, self.options.top)
        while len(among) > 1 and not seeds:
            seeds, why = self._seeds(study, among)
            reason, among = why, among if seeds else among[:-1]
        if not seeds:
            return reason
        wanted = list(confirmation.requests(self.spec.search.seed, among, seeds))
        repeats.add(self.engine, study.name, CONFIRM, wanted)
        own = repeats.name_of(study.name, CONFIRM)
        try:
            self.train(CONFIRM, own, self.left() - self._needed_s(study))
        finally:
            repeats.withdraw(self.engine, own, [one.key for one in wanted])
        return ""

    def _needed_s(self, study: StudyRecord) -> float:
        best = study.best
        return 0.0 if best is None else soup_seconds(study, best, self.options)

    def _seeds(self, study: StudyRecord, among: Sequence[TrialRecord]) -> tuple[int, str]:
        """Return how many fresh seeds each of ``among`` is trained with, and the reason if none."""
        numbers = {trial.number for trial in among}
        there = max((run.seed for run in study.repeats if run.trial in numbers and run.value is not None), default=0)
        by_trials = int(self.options.share * study.target) // len(among)
        if not by_trials:
            return 0, f"{100 * self.options.share:.0f} % of {study.target} trials are fewer than {len(among)} trainings"
        round_s = choosing_seconds(study, among)
        spare_s = self.left() - self._needed_s(study)
        by_time = math.inf if math.isinf(spare_s) else spare_s // max(round_s, 1e-3)
        if by_time < 1:
            return 0, f"they take about {round_s:.0f} s, and {max(spare_s, 0):.0f} s of the budget are left for that"
        return int(min(max(there, min(MOST_SEEDS, by_trials)), by_time)), ""

    def _planned(self, study: StudyRecord, winner: TrialRecord, left_s: float) -> tuple[int, int]:
        """Return how many final trainings to begin at most, and the epochs of each; 0 epochs if there is time for none.

        If time is left over, there are up to twice as many as planned; a single one may be shortened.
        """
        least, most = epochs_between(study, winner)
        spent_s, soup = sum(trial.seconds for trial in study.trials), soup_of(self.options, winner)
        is_limited = not math.isinf(left_s)
        for_s = left_s if is_limited else SOUPS_SHARE * spent_s + EXPORT_S
        highest = 2 * soup if is_limited and soup > 1 else soup
        count = next((some for some in range(highest, 0, -1) if final_seconds(study, winner, most, some) <= for_s), 0)
        if count and is_limited:
            return min(count + _UNFORESEEN, highest), most
        if count > 1:
            return count, most
        return 1, next((some for some in range(most, least - 1, -1) if final_seconds(study, winner, some) <= left_s), 0)

    def _finish(self, study: StudyRecord) -> str:
        """Train the winner on all data; return why not, if it was not."""
        winner = study.best
        if winner is None:
            return "no trial is complete"
        if choice.final_model(study) is not None:
            return ""
        left_s = self.left()
        soup, epochs = self._planned(study, winner, left_s)
        known = next((one for one in study.finals if one.trial == winner.number), None)
        if not epochs and known is None:
            needed = final_seconds(study, winner, epochs_between(study, winner)[0])
            return f"it takes about {needed:.0f} s at least, and {max(left_s, 0):.0f} s of the budget are left"
        key = {"trial": winner.number, "data": JOINED, "epochs": epochs, "ema": False, "tta": False, "soup": soup}
        key["branches"] = self.options.branches if self.spec.goals.is_single else 1
        key["mirror"] = self.options.mirror and self.spec.goals.is_single
        key["seconds"] = None if math.isinf(left_s) else left_s - EXPORT_S
        key["candidate"] = Candidate.from_json(winner.candidate).fingerprint
        seed = fresh_seed(self.spec.search.seed, FINAL)
        one = RetrainingRequest(key, winner.candidate, winner.words, seed, identified_by=("trial", "candidate"))
        repeats.add(self.engine, study.name, FINAL, [one])
        self.train(FINAL, repeats.name_of(study.name, FINAL), math.inf)
        done = next((one for one in reversed(self._study().finals) if one.trial == winner.number), None)
        if done is not None and done.state is TrialState.FAILED:
            return f"its training failed: {done.ended}"
        is_done = done is not None and done.state is TrialState.COMPLETE
        return "" if is_done else "its training was interrupted; the same command continues it"
