"""The choice at the end of a search, and its model, in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from search.records.named_trial import BEST, chosen_model
from search.records.plain_text import numbered
from search.records.study import Contender, Refit, StudyRecord, TrialRecord
from search.records.uncertainty import calibrated_loss
from search.report import wording


def choice_sentence(study: StudyRecord) -> str:
    """Return how the winner was chosen among retrained candidates; empty if the search alone chose."""
    chosen, best, ahead = study.contenders, study.best, study.ahead
    if best is not None and ahead is not None:
        metric, count = wording.metric_name(study.metric), study.dataset.samples().get("val", 0)
        why = _why(best, ahead, *(calibrated_loss(one.extras) for one in (best, ahead)))
        if wording.number(ahead.value) == wording.number(best.value):
            equal = f"{_name(best)} and {_name(ahead)} have the same {metric}, {wording.number(best.value)}"
            return f"{equal}; the former wins, {why}."
        return (
            f"{_name(ahead)} has {metric} {wording.number(ahead.value)}, which {count} validation {study.dataset.noun} "
            f"cannot tell apart from the {wording.number(best.value)} of {_name(best)}; the latter wins, {why}."
        )
    if not chosen:
        return ""
    winner, *others = chosen
    metric = wording.metric_name(study.metric)
    higher = next((one for one in others if study.is_better(one.mean, winner.mean)), None)
    if higher is not None:
        return (
            f"Over {winner.trainings} trainings, the search's own and fresh ones, {_name(higher.trial)} has mean "
            f"{metric} {wording.number(higher.mean)}, which validation cannot tell apart from the "
            f"{wording.number(winner.mean)} of {_name(winner.trial)}; the latter wins, "
            f"{_why(winner.trial, higher.trial, winner.calibrated_loss, higher.calibrated_loss)}."
        )
    beaten = ", ".join(f"{wording.number(one.mean)} of {_name(one.trial)}" for one in others)
    same = [one for one in others if one.mean == winner.mean]
    why = _ahead_of(winner, same) if same else ""
    return (
        f"{_name(winner.trial)} has the best mean{why} over {winner.trainings} trainings, the search's own and fresh "
        f"ones: {metric} {wording.number(winner.mean)} against {beaten}."
    )


def _why(best: TrialRecord, ahead: TrialRecord, loss: float | None, other: float | None) -> str:
    if best.prior > ahead.prior:
        return "as candidates of its kind (trained further, on larger maps) did better on other data"
    lower = f"lower: {wording.number(loss)} against {wording.number(other)}"
    return f"as its calibrated loss (what it knows, however sure it is) is {lower}"


def _ahead_of(winner: Contender, same: Sequence[Contender]) -> str:
    """Return what put ``winner`` before others of the ``same`` mean."""
    losses = [one.calibrated_loss for one in same]
    if winner.calibrated_loss is not None and all(
        loss is not None and loss > winner.calibrated_loss for loss in losses
    ):
        return " and the lowest calibrated loss"
    return " and the fewest parameters" * all(_parameters(winner) < _parameters(one) for one in same)


def _parameters(one: Contender) -> float:
    return one.trial.size.parameters if one.trial.size else math.inf


def _name(trial: TrialRecord) -> str:
    return "the plain recipe" if trial.is_baseline else f"trial {trial.number}"


def model_sentence(study: StudyRecord) -> str:
    """Return what the final model was trained on, and how good it is known to be; empty while there is no winner."""
    best = study.best
    if best is None:
        return ""
    trial, final = chosen_model(study, BEST)
    noun, who = study.dataset.noun, _name(trial)
    score = f"{wording.metric_name(study.metric)} {wording.number(trial.value)}"
    lost = f"no weights of {_name(best)} are kept; `ftsearch refit {study.name}` trains it again."
    if final is None and trial.checkpoint is None:
        return f"none: {lost}"
    if final is None:
        other = "" if trial.number == best.number else f" {lost[0].upper()}{lost[1:]}"
        return f"{who} as the search trained it, on the training {noun} alone; {score} on the validation {noun}.{other}"
    epochs = numbered(final.epochs, "epochs")
    return (
        f"{who} trained on train and validation data, {final.images} {noun}, for {epochs}{_several(final, trial)}; no "
        f"{noun} are left to score it on. Before, it had {score} on the validation {noun}."
    )


def _several(final: Refit, trial: TrialRecord) -> str:
    """Return how several trainings became one model; empty for a single one."""
    learnt = final.branches - final.has_start
    rows = "side by side" if learnt == final.trainings else f"in {learnt} branches"
    several = f"{final.trainings} trainings {rows} behind the same frozen units"
    mean = f"the mean of {final.trainings} trainings"
    parts = [mean if learnt == 1 else several] if final.trainings > 1 else []
    if final.has_start:
        parts.append(
            "beside it the network before training" if learnt == 1 else "beside them the network before training"
        )
    if final.is_mirrored:
        parts.append("outputs for an image and its mirror image averaged")
    if not parts:
        return ""
    is_larger = (final.branches > 1 or final.is_mirrored) and trial.size is not None and final.flops
    times = f" ({final.flops / trial.size.flops:.1f} times the FLOPs of one)" if is_larger and trial.size else ""
    return f", {', '.join(parts)}{times}"
