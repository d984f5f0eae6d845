"""The choice at the end of a search: which trials may be best, how long the winner trains for use, what that costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median, variance

from search.records.retrained import Refit
from search.records.study import StudyRecord, TrialRecord
from search.records.uncertainty import PROPORTIONS, difference_error, one_sample, resampled, share_variance

_Z = 1.96
PASSES = 3
"""Cost of training on a sample, in forward passes."""
EPOCHS_A_VIEW, MOST_VIEWS = 3, 4
"""How ``training.views`` is chosen by default: fewest epochs for each view, and most views."""
_ALIKE = 1.2
"""Networks that compute at most this many times as much may have computed a trial's features."""


def may_be_best(study: StudyRecord, most: int) -> tuple[TrialRecord, ...]:
    """Return the search's best trial and those that validation cannot tell apart from it (95 %), ``most`` in all.

    Each is a different candidate; the winner so far is among them. If the standard error is unknown, any of the best
    ``most`` may be the best. In a study of several objectives the front is the result, and there is nothing to choose.
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
    winner = study.best
    if most > 1 and winner is not None and winner.candidate not in [other.candidate for other in likely]:
        likely[most - 1 :] = [winner]
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
    A candidate that was tried for fewer epochs than it has, for want of time, is trained for all of them.
    """
    best = max(trial.best_epoch or len(trial.epochs), 1)
    whole = int((trial.extras.get("origin") or {}).get("whole_epochs") or 0)
    error = value_error(study, trial)
    if error is None or trial.value is None:
        return max(best, whole)
    sign = 1.0 if study.maximize else -1.0
    least = sign * trial.value - error
    values = [(one.epoch, one.metrics.get(study.metric, math.nan)) for one in trial.epochs]
    return max([best, whole, *(epoch for epoch, value in values if sign * value >= least)])


def value_error(study: StudyRecord, trial: TrialRecord) -> float | None:
    """Return the standard error of ``trial``'s value by the choice of validation samples; None where it is unknown.

    It is never smaller than one sample's share, however sure the trial is of the samples that were chosen.
    """
    rows, count = resampled(trial), study.dataset.samples().get("val", 0)
    if len(rows) > 1:
        return math.sqrt(variance(rows) + one_sample(study.metric, count) ** 2)
    is_share = study.metric in PROPORTIONS and count and trial.value is not None
    return math.sqrt(share_variance(trial.value or 0.0, count)) if is_share else None


def growth(study: StudyRecord) -> float:
    """Return how many times as long an epoch takes on training and validation samples together.

    A trial is validated after every epoch, which is one forward pass where training has three; the final training has
    nothing to be validated on.
    """
    sizes = study.dataset.samples()
    train, val = sizes.get("train", 0), sizes.get("val", 0)
    return PASSES * (train + val) / max(PASSES * train + val, 1)


def epoch_seconds(trial: TrialRecord) -> float:
    """Return how long an epoch of ``trial`` takes, in seconds, once data and features are cached."""
    return median(one.seconds for one in trial.epochs) if trial.epochs else trial.seconds


def fresh(study: StudyRecord) -> float:
    """Return how many samples a final training adds to those of a trial, as a share of these."""
    sizes = study.dataset.samples()
    return sizes.get("val", 0) / max(sizes.get("train", 0), 1)


def training_seconds(
    trials: Sequence[TrialRecord], trial: TrialRecord, epochs: float, times: float = 1.0, unseen: float | None = None
) -> float:
    """Return how long ``epochs`` of ``trial``'s candidate take on ``times`` as many samples, judging by its own.

    Building and storing count once. Solving the head grows with the samples; the first epoch's extra, or the outputs of
    frozen units, some of which another trial may have computed for this one, with those that no trial has seen.

    Args:
        trials: all trials of the study, including ``trial``.
        unseen: how many times as many samples are new to the frozen units; all of them by default.
    """
    unseen = times if unseen is None else unseen
    if not trial.epochs:
        return trial.seconds * times
    each, usual = [one.seconds for one in trial.epochs], epoch_seconds(trial)
    alike = [other for other in trials if _forward_flops(other) <= _ALIKE * _forward_flops(trial)]
    own_start = sum(_start_seconds(trial))
    features, solving = (max(column) for column in zip(*map(_start_seconds, alike), strict=True))
    start = unseen * features + times * solving if own_start else 0.0
    aside = max(trial.seconds - sum(each) - own_start, 0.0)
    first = max(each[0] - usual, _views_seconds(alike, trial, epochs))
    return aside + start + unseen * first + times * epochs * usual


def _start_seconds(trial: TrialRecord) -> tuple[float, float]:
    """Return how long ``trial`` took for its head's features, and to solve it; nothing where another had done so."""
    start = trial.extras.get("head_start") or {}
    features = float(start.get("features_seconds") or 0.0)
    return features, max(float(start.get("seconds") or 0.0) - features, 0.0)


def _views_seconds(alike: Sequence[TrialRecord], trial: TrialRecord, epochs: float) -> float:
    """Return how long the outputs of ``trial``'s frozen units take in all views, if none is there yet.

    A training of more or fewer ``epochs`` than the trial's own sees more or fewer views of its samples. The slowest of
    trials ``alike`` counts: others began with what shallower frozen units had given before.
    """
    planned = float((trial.extras.get("cost") or {}).get("epochs") or len(trial.epochs))
    runs = 0.0
    for split, account in (trial.extras.get("prefix") or {}).items():
        views = float(account.get("views") or 1)
        if split == "train" and (views > 1 or planned < 2 * EPOCHS_A_VIEW):
            views = min(max(round(views * epochs / planned), 1), max(views, MOST_VIEWS))
        samples = (float(account.get("computed") or 0) + float(account.get("reused") or 0)) / len(trial.epochs)
        runs += views * samples
    return runs * max(map(_seconds_a_run, alike), default=0.0)


def _seconds_a_run(trial: TrialRecord) -> float:
    """Return the seconds in which ``trial`` ran its frozen units on one sample; 0 if it found all their outputs."""
    accounts = (trial.extras.get("prefix") or {}).values()
    computed = sum(float(one.get("computed") or 0) for one in accounts)
    return sum(float(one.get("seconds") or 0) for one in accounts) / computed if computed else 0.0


def _forward_flops(trial: TrialRecord) -> float:
    return float((trial.extras.get("cost") or {}).get("forward_flops") or 0.0)


def features_seconds(trial: TrialRecord) -> float:
    """Return how long ``trial`` took to compute the outputs of frozen units, for its head's start too, in seconds."""
    prefix = (trial.extras.get("prefix") or {}).values()
    return sum(float(part.get("seconds") or 0.0) for part in prefix) + sum(_start_seconds(trial))
