"""The choice at the end of a search: which trials may be best, how long the winner trains for use, what that costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median, variance

from search.records.retrained import Refit
from search.records.study import StudyRecord, TrialRecord

SHARES = frozenset(
    {
        *(
            "accuracy",
            "balanced_accuracy",
            "subset_accuracy",
            "pixel_accuracy",
            "mean_accuracy",
            "macro_f1",
            "micro_f1",
        ),
        *("entity_f1", "entity_precision", "entity_recall", "map", "map_50", "map_75", "mar_100", "miou", "dice"),
    }
)
"""Metrics between 0 and 1 whose differences are given in points, that is, hundredths."""
PROPORTIONS = ("accuracy", "balanced_accuracy")
"""Metrics treated as shares of independent samples if a trial has no bootstrap samples."""
_Z = 1.96


def difference_error(metric: str, one: TrialRecord, other: TrialRecord, samples: int) -> float | None:
    """Return the standard error of the difference of two trials, due to the choice of ``samples`` validation samples.

    Over the same bootstrap samples of both, where they have them. A difference of no more than one sample is never
    ruled out, however alike the two predict (after Agresti and Min, https://doi.org/10.1002/sim.1781). Studies of an
    older version have no bootstrap samples; of theirs, an accuracy is two independent proportions. None where neither
    is known.
    """
    rows = _resampled(one), _resampled(other)
    if rows[0] and len(rows[0]) == len(rows[1]):
        spread = variance([first - second for first, second in zip(*rows, strict=True)])
        return math.sqrt(spread + _one_sample(metric, samples) ** 2)
    if metric not in PROPORTIONS or not samples:
        return None
    return math.sqrt(_variance(one.value or 0.0, samples) + _variance(other.value or 0.0, samples))


def _one_sample(metric: str, samples: int) -> float:
    """Return what one of ``samples`` changes in a share; 0 for other metrics."""
    return 1 / samples if samples and metric in SHARES else 0.0


def _resampled(trial: TrialRecord) -> Sequence[float]:
    return trial.evaluation.resampled if trial.evaluation is not None else ()


def _variance(share: float, count: int) -> float:
    return max(share * (1 - share), 1 / (4 * count)) / count


def share_error(metric: str, value: float, samples: int) -> float:
    """Return the standard error of a share by the choice of ``samples``; 0 of a metric that is none."""
    return math.sqrt(_variance(value, samples)) if metric in SHARES and samples else 0.0


def may_be_best(study: StudyRecord, most: int) -> tuple[TrialRecord, ...]:
    """Return the search's best trial and those that validation cannot tell apart from it (95 %), ``most`` in all.

    Each is a different candidate. If the standard error is unknown, any of the best ``most`` may be the best. In a
    study of several objectives the front is the result, and there is nothing to choose.
    """
    likely: list[TrialRecord] = []
    samples = study.dataset.samples().get("val", 0)
    for trial in study.ranking:
        error = difference_error(study.metric, likely[0], trial, samples) if likely else None
        if error is not None and abs((likely[0].value or 0.0) - (trial.value or 0.0)) > _Z * error:
            break
        if trial.candidate not in [other.candidate for other in likely]:
            likely.append(trial)
        if len(likely) == most or len(study.objectives) > 1:
            break
    return tuple(likely)


def final_model(study: StudyRecord) -> Refit | None:
    """Return the newest finished final training of the winner; None if there is none yet."""
    best = study.best
    if best is None:
        return None
    return next((one for one in reversed(study.finals) if one.checkpoint and one.trial == best.number), None)


def is_settled(study: StudyRecord) -> bool:
    """Return whether a final model of the winner is there and no trial has been completed since."""
    final = final_model(study)
    if final is None or final.finished_at is None:
        return False
    return all(trial.finished_at is None or trial.finished_at <= final.finished_at for trial in study.ranking)


def lasting_epochs(study: StudyRecord, trial: TrialRecord) -> int:
    """Return for how many epochs ``trial`` kept improving, or at least got no worse than validation can tell.

    That is the last epoch whose objective is within one standard error of the best epoch's: which epoch of a plateau
    is best is luck, and a schedule cut off there has not run its course. Without a known error, it is the best epoch.
    """
    best = max(trial.best_epoch or len(trial.epochs), 1)
    error = value_error(study, trial)
    if error is None or trial.value is None:
        return best
    sign = 1.0 if study.maximize else -1.0
    least = sign * trial.value - error
    values = [(one.epoch, one.metrics.get(study.metric, math.nan)) for one in trial.epochs]
    return max([best, *(epoch for epoch, value in values if sign * value >= least)])


def value_error(study: StudyRecord, trial: TrialRecord) -> float | None:
    """Return the standard error of ``trial``'s value by the choice of validation samples; None where it is unknown.

    It is never smaller than one sample's share, however sure the trial is of the samples that were chosen.
    """
    rows, count = _resampled(trial), study.dataset.samples().get("val", 0)
    if len(rows) > 1:
        return math.sqrt(variance(rows) + _one_sample(study.metric, count) ** 2)
    is_share = study.metric in PROPORTIONS and count and trial.value is not None
    return math.sqrt(_variance(trial.value or 0.0, count)) if is_share else None


def growth(study: StudyRecord) -> float:
    """Return the ratio of training plus validation samples to training samples."""
    sizes = study.dataset.samples()
    return (sizes.get("train", 0) + sizes.get("val", 0)) / max(sizes.get("train", 0), 1)


def epoch_seconds(trial: TrialRecord) -> float:
    """Return how long an epoch of ``trial`` takes, in seconds, once data and features are cached."""
    return median(one.seconds for one in trial.epochs) if trial.epochs else trial.seconds


def training_seconds(trials: Sequence[TrialRecord], trial: TrialRecord, epochs: float, times: float = 1.0) -> float:
    """Return how long ``epochs`` of ``trial``'s candidate take on ``times`` as many samples, judging by its own.

    Building and storing count once; the first epoch's extra, and features of frozen units, which another trial may
    have computed for this one, grow with the samples.

    Args:
        trials: all trials of the study, including ``trial``.
    """
    if not trial.epochs:
        return trial.seconds * times
    each, usual = [one.seconds for one in trial.epochs], epoch_seconds(trial)
    aside = max(trial.seconds - sum(each), 0.0)
    own = (trial.extras.get("prefix") or {}).get("train") or {}
    shared = max(map(_features_seconds, trials)) if own.get("reused") and not own.get("computed") else 0.0
    return aside + times * (max(each[0] - usual, shared) + epochs * usual)


def _features_seconds(trial: TrialRecord) -> float:
    return sum(float(part.get("seconds") or 0.0) for part in (trial.extras.get("prefix") or {}).values())
