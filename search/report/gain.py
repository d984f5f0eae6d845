"""What a search gained over the plain recipe, and whether that is more than chance."""

from __future__ import annotations

from enum import StrEnum
from statistics import NormalDist
from typing import NamedTuple

from search.records.study import StudyRecord, TrialRecord, TrialState
from search.records.uncertainty import difference_error
from search.report import theme
from search.report.confirmed import Confirmed, whole

_ALPHA = 0.05


class Proof(StrEnum):
    """How far a gain can be believed; the values are what readers see."""

    CONFIRMED = "confirmed"
    PROVEN = "proven"
    CHANCE = "may be chance"
    UNKNOWN = "not tested"
    NONE = "no gain"


class Gain(NamedTuple):
    """The winner against the plain recipe.

    Attributes:
        difference: its value less that of the plain recipe; ``lead`` the same, positive when the winner is better.
        margin: half the interval of the difference in which 95 % of studies with other validation samples would have
            it for the best of all candidates; None where neither trial has the data for it.
        candidates: that the winner was chosen among, those that were ended early included.
        samples: of the validation data.
        fresh: what fresh trainings say of the winner, where at least three pairs have been run.
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
        """Whether the lead is more than chance gives: by fresh seeds where there are some, else by the margin."""
        if self.best is self.baseline or self.lead <= 0:
            return Proof.NONE
        against = self.fresh.against if self.fresh is not None else None
        if against is not None:
            is_real = against.difference > 0 and against.adjusted is not None and against.adjusted < _ALPHA
            return Proof.CONFIRMED if is_real else Proof.CHANCE
        if self.leaks or self.margin is None:
            return Proof.UNKNOWN
        return Proof.PROVEN if self.lead > self.margin else Proof.CHANCE


def gain(study: StudyRecord) -> Gain | None:
    """Return the winner's lead over the plain recipe; None while one of them is missing."""
    best, baseline = study.best, study.baseline
    if best is None or baseline is None or best.value is None or baseline.value is None:
        return None
    # As readers see both numbers, so that the difference is that of what they see.
    difference = round(best.value, theme.DIGITS) - round(baseline.value, theme.DIGITS)
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
        study.dataset.leaks,
    )


def _fresh(study: StudyRecord, best: TrialRecord) -> Confirmed | None:
    rows = (row for row in whole(study) if row.number == best.number and row.against is not None)
    return next(rows, None)


def margin(metric: str, best: TrialRecord, baseline: TrialRecord, candidates: int, samples: int) -> float | None:
    """Return half the 95 % interval of the difference between two trials on the same validation samples.

    It is a Bonferroni interval for the best of ``candidates``: whoever is chosen for being the best is favoured by
    chance. The luck of one training's seed is not in it. None where the error of the difference is not known.
    """
    error = difference_error(metric, best, baseline, samples)
    if error is None:
        return None
    return NormalDist().inv_cdf(1 - _ALPHA / 2 / max(candidates, 1)) * error
