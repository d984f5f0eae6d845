"""The gain of a search over the plain recipe, and whether it is more than chance."""

from __future__ import annotations

from enum import StrEnum
from statistics import NormalDist
from typing import NamedTuple

from search.records.study import StudyRecord, TrialRecord, TrialState
from search.records.uncertainty import difference_error
from search.report import wording
from search.report.confirmed import ALPHA, Confirmed, whole


class Proof(StrEnum):
    """How far a gain can be trusted; the values are shown to readers."""

    CONFIRMED = "confirmed"
    PROVEN = "proven"
    CHANCE = "may be chance"
    UNKNOWN = "not tested"
    NONE = "no gain"


class Gain(NamedTuple):
    """The winner against the plain recipe.

    Attributes:
        difference: its value minus that of the plain recipe; ``lead`` the same, positive if the winner is better.
        margin: half the 95 % interval of the difference over other validation samples, for the best of all candidates;
            None if the trials lack the data for it.
        candidates: number that the winner was chosen from, pruned ones included.
        samples: number of validation samples.
        fresh: the winner's fresh trainings, if at least three pairs have been run.
    """

    best: TrialRecord
    baseline: TrialRecord
    difference: float
    lead: float
    margin: float | None
    candidates: int
    samples: int
    fresh: Confirmed | None
    leaks: bool

    @property
    def proof(self) -> Proof:
        """Whether the lead is more than chance: by fresh seeds if there are any, else by the margin."""
        if self.best is self.baseline or self.lead <= 0:
            return Proof.NONE
        against = self.fresh.against if self.fresh is not None else None
        if against is not None:
            is_real = against.difference > 0 and against.adjusted is not None and against.adjusted < ALPHA
            return Proof.CONFIRMED if is_real else Proof.CHANCE
        if self.leaks or self.margin is None:
            return Proof.UNKNOWN
        return Proof.PROVEN if self.lead > self.margin else Proof.CHANCE


def lead_over_plain(study: StudyRecord, trial: TrialRecord) -> float | None:
    """Return by how much ``trial`` is better than the plain recipe; None while either has no value, and of itself."""
    plain = study.baseline
    if plain is None or plain is trial or plain.value is None or trial.value is None:
        return None
    difference = seen_difference(trial.value, plain.value)
    return difference if study.maximize else -difference


def seen_difference(value: float, baseline: float) -> float:
    """Return the difference of both values rounded as readers see them, so that it matches them."""
    return round(value, wording.DIGITS) - round(baseline, wording.DIGITS)


def gain(study: StudyRecord) -> Gain | None:
    """Return the winner's lead over the plain recipe; None while either is missing."""
    best, baseline = study.best, study.baseline
    if best is None or baseline is None or best.value is None or baseline.value is None:
        return None
    difference = seen_difference(best.value, baseline.value)
    tried = (TrialState.COMPLETE, TrialState.PRUNED)
    candidates = sum(trial.state in tried and not trial.is_baseline for trial in study.trials)
    samples = study.dataset.samples().get("val", 0)
    return Gain(
        best,
        baseline,
        difference,
        difference if study.maximize else -difference,
        None if best is baseline else margin(study.metric, best, baseline, candidates, samples),
        candidates,
        samples,
        _fresh(study, best),
        bool(study.dataset.leak),
    )


def _fresh(study: StudyRecord, best: TrialRecord) -> Confirmed | None:
    rows = (row for row in whole(study) if row.number == best.number and row.against is not None)
    return next(rows, None)


def margin(metric: str, best: TrialRecord, baseline: TrialRecord, candidates: int, samples: int) -> float | None:
    """Return half the 95 % interval of the difference between two trials on the same validation samples.

    A Bonferroni interval for the best of ``candidates``, since choosing the best favours the lucky. It does not include
    the variation between seeds. None if the error of the difference is unknown.
    """
    error = difference_error(metric, best, baseline, samples)
    if error is None:
        return None
    return NormalDist().inv_cdf(1 - ALPHA / 2 / max(candidates, 1)) * error
