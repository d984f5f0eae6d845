"""The choice at the end of a search: who may be the best, whom fresh trainings show to be, how long it is trained.

A search takes the luckiest of many trainings for the best one. So the best few that validation cannot tell apart are
trained again with fresh seeds, and the mean over a candidate's trainings decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, median
from typing import NamedTuple

from search.records.retrained import Refit, Repeat
from search.records.states import TrialState
from search.records.study import StudyRecord, TrialRecord, rank_key

PROPORTIONS = ("accuracy", "balanced_accuracy")
"""Metrics that are shares of independent samples, so that their spread is known from their number."""
_Z = 1.96


class Contender(NamedTuple):
    """A candidate that was trained again.

    Attributes:
        trainings: how many; the search's own is one of them.
        mean: of the objective over them.
    """

    trial: TrialRecord
    trainings: int
    mean: float


def margin(study: StudyRecord, value: float, other: float) -> float | None:
    """Return by how much two values of the objective may differ by the choice of validation samples alone (95 %).

    Each sample counts as an independent draw (normal approximation of two proportions). None where the objective is
    no proportion.
    """
    count = study.dataset.samples().get("val", 0)
    if study.metric not in PROPORTIONS or not count:
        return None
    return _Z * math.sqrt(_variance(value, count) + _variance(other, count))


def _variance(share: float, count: int) -> float:
    return max(share * (1 - share), 1 / (4 * count)) / count


def tied(study: StudyRecord, most: int) -> tuple[TrialRecord, ...]:
    """Return the best trial and those that validation cannot tell from it, of different candidates, ``most`` in all.

    Where nobody knows what validation can tell, all of the best ``most`` may be the best. In a study of several
    objectives the front is the result, and nothing is to be chosen.
    """
    found: list[TrialRecord] = []
    for trial in study.ranking:
        if found and not _may_be(study, trial, found[0]):
            break
        if trial.candidate not in [other.candidate for other in found]:
            found.append(trial)
        if len(found) == most or len(study.objectives) > 1:
            break
    return tuple(found)


def _may_be(study: StudyRecord, trial: TrialRecord, best: TrialRecord) -> bool:
    first, second = best.value or 0.0, trial.value or 0.0
    most = margin(study, first, second)
    return most is None or abs(first - second) <= most


def contenders(study: StudyRecord) -> tuple[Contender, ...]:
    """Return the best trial and all that were trained again beside it, the best mean first; of equals the smaller one.

    Only trainings with seeds and folds that all of them have count, on all training samples. Empty where the best
    trial of the search was not trained again: then nothing has been chosen yet.
    """
    best = study.best
    runs: dict[int, dict[tuple[int, int, int], float]] = {}
    for run in study.repeats:
        if _counts(run):
            runs.setdefault(run.trial, {})[run.seed, run.fold, run.folds] = run.value or 0.0
    if best is None or best.number not in runs or len(study.objectives) > 1:
        return ()
    among = [trial for trial in study.ranking if runs.get(trial.number, {}).keys() & runs[best.number].keys()]
    common = set.intersection(*(set(runs[trial.number]) for trial in among))
    if not common or len(among) < 2:
        return ()
    found = []
    for trial in among:
        values = [trial.value or 0.0, *(runs[trial.number][key] for key in common)]
        # Sums of the same values in another order differ in their last digit, which shall decide nothing.
        found.append(Contender(trial, len(values), round(mean(values), 12)))
    objectives = study.objectives[:1]
    return tuple(sorted(found, key=lambda one: rank_key(objectives, one.mean, {}, one.trial.size, one.trial.number)))


def _counts(run: Repeat) -> bool:
    done = run.state is TrialState.COMPLETE and run.value is not None and math.isfinite(run.value)
    return done and run.fraction == 1


def winner(study: StudyRecord) -> TrialRecord | None:
    """Return the trial that the study has come to: the best mean of those trained again, else the search's best."""
    chosen = contenders(study)
    return chosen[0].trial if chosen else study.best


def final_model(study: StudyRecord) -> Refit | None:
    """Return the newest finished final training of the winner; None while there is none."""
    chosen = winner(study)
    if chosen is None:
        return None
    return next((one for one in reversed(study.finals) if one.checkpoint and one.trial == chosen.number), None)


def is_settled(study: StudyRecord) -> bool:
    """Return whether a final model of the winner is there and no trial has been completed since."""
    final = final_model(study)
    if final is None or final.finished_at is None:
        return False
    ends = [trial.finished_at for trial in study.ranking if trial.finished_at is not None]
    return all(end <= final.finished_at for end in ends)


def lasting_epochs(study: StudyRecord, trial: TrialRecord) -> int:
    """Return for how many epochs ``trial`` kept getting better, or at least no worse than validation can tell.

    That is the last epoch whose objective is within one standard error of the best one's: which epoch of a plateau is
    the best is luck, and a schedule that ends there has not run to its end. Where the objective is no proportion it
    is the best epoch.
    """
    count = study.dataset.samples().get("val", 0)
    best = max(trial.best_epoch or len(trial.epochs), 1)
    if study.metric not in PROPORTIONS or not count or trial.value is None:
        return best
    least = trial.value - math.sqrt(_variance(trial.value, count))
    return max([best, *(one.epoch for one in trial.epochs if one.metrics.get(study.metric, -math.inf) >= least)])


def growth(study: StudyRecord) -> float:
    """Return how many times as many samples training and validation have together as training has alone."""
    sizes = study.dataset.samples()
    return (sizes.get("train", 0) + sizes.get("val", 0)) / max(sizes.get("train", 0), 1)


def training_seconds(trials: Sequence[TrialRecord], trial: TrialRecord, epochs: float, times: float = 1.0) -> float:
    """Return how long ``epochs`` of ``trial``'s candidate take on ``times`` as many samples, from what was measured.

    Building and storing count once; the first epoch's extra, and features of frozen units, which another trial may
    have computed for this one, grow with the samples.

    Args:
        trials: all of the study's, ``trial`` among them.
    """
    if not trial.epochs:
        return trial.seconds * times
    each = [one.seconds for one in trial.epochs]
    usual = median(each)
    aside = max(trial.seconds - sum(each), 0.0)
    own = ((trial.extras.get("prefix") or {}).get("train") or {}) if trial.extras else {}
    shared = max(map(_features_seconds, trials), default=0.0) if own.get("reused") and not own.get("computed") else 0.0
    return aside + times * (max(each[0] - usual, shared) + epochs * usual)


def _features_seconds(trial: TrialRecord) -> float:
    parts = (trial.extras.get("prefix") or {}).values() if trial.extras else ()
    return sum(float(part.get("seconds") or 0.0) for part in parts)
