"""Ranking, failures and facts as rows of text, for pages and terminals alike."""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

from search.records import StudyRecord, TrialRecord, TrialState
from search.report import theme


class Line(NamedTuple):
    """One trial in the ranking, every cell as text."""

    rank: str
    number: str
    state: str
    value: str
    parameters: str
    flops: str
    seconds: str
    words: str


class Gain(NamedTuple):
    """What the search gained over the plain recipe.

    Attributes:
        difference: positive when the winner is better; ``margin`` half its 95 % interval, None where the metric
            is no share of validation images.
    """

    best: TrialRecord
    baseline: TrialRecord
    difference: float
    margin: float | None


def ranking(study: StudyRecord, most: int | None = None) -> list[Line]:
    """Return complete trials from best to worst, then pruned ones by value, then failed and unfinished ones."""
    ranked = list(study.ranking)
    sign = -1.0 if study.maximize else 1.0
    pruned = [trial for trial in study.trials if trial.state is TrialState.PRUNED]
    pruned.sort(key=lambda trial: (sign * (trial.value or 0.0), trial.number))
    rest = [trial for trial in study.trials if trial not in ranked and trial.state is not TrialState.PRUNED]
    lines = [_line(trial, str(place)) for place, trial in enumerate(ranked, 1)]
    lines += [_line(trial, "") for trial in (*pruned, *rest)]
    return lines[:most]


def _line(trial: TrialRecord, rank: str) -> Line:
    size = trial.size
    return Line(
        rank,
        str(trial.number),
        "plain recipe" if trial.is_baseline and trial.state is TrialState.COMPLETE else trial.state.value,
        theme.number(trial.value),
        theme.count(size.parameters) if size else "–",
        theme.count(size.flops) if size else "–",
        theme.duration(trial.seconds) if trial.seconds else "–",
        trial.words or trial.ended,
    )


def gain(study: StudyRecord) -> Gain | None:
    """Return the winner's lead over the plain recipe; None while one of them is missing.

    The margin treats each validation image as an independent draw (normal approximation of two proportions);
    it says how far the validation set's size alone could move the difference.
    """
    best, baseline = study.best, study.baseline
    if best is None or baseline is None or best.value is None or baseline.value is None:
        return None
    difference = best.value - baseline.value if study.maximize else baseline.value - best.value
    images = sum(study.dataset.counts.get("val", {}).values())
    margin = None
    if study.metric in ("accuracy", "balanced_accuracy") and images:
        variance = sum(max(value * (1 - value), 1 / (4 * images)) / images for value in (best.value, baseline.value))
        margin = 1.96 * math.sqrt(variance)
    return Gain(best, baseline, difference, margin)


def gain_words(study: StudyRecord) -> str:
    """Return the gain in one sentence."""
    found = gain(study)
    metric = theme.metric_name(study.metric)
    if found is None:
        return "The plain recipe has no result yet, so there is no gain to speak of."
    if found.best is found.baseline:
        return f"No candidate beat the plain recipe ({metric} {theme.number(found.baseline.value)})."
    margin = f" ± {found.margin:.4f}" if found.margin is not None else ""
    certainty = ""
    if found.margin is not None:
        images = sum(study.dataset.counts.get("val", {}).values())
        inside = "within" if found.difference <= found.margin else "beyond"
        certainty = f"; {inside} what {images} validation images can tell apart (95 %)"
    return (
        f"{metric} {theme.number(found.best.value)} against {theme.number(found.baseline.value)} of the plain recipe: "
        f"{theme.signed(found.difference)}{margin}{certainty}."
    )


def states(study: StudyRecord) -> str:
    """Return how many trials stand where: ``16 trials: 9 complete, 6 pruned, 1 failed``."""
    counts = Counter(trial.state for trial in study.trials)
    parts = ", ".join(f"{counts[state]} {state.value}" for state in TrialState if counts[state])
    return f"{len(study.trials)} of {study.target} trials: {parts or 'none yet'}"


def cost(study: StudyRecord) -> str:
    """Return what the search cost: seconds of all trials, and what pruning left out."""
    spent = sum(trial.seconds for trial in study.trials)
    planned = ((study.spec or {}).get("study") or {}).get("training", {}).get("epochs")
    text = f"{theme.duration(spent)} of training in all trials"
    if planned:
        run = sum(len(trial.epochs) for trial in study.trials)
        possible = planned * sum(trial.state.is_finished for trial in study.trials)
        if possible > run:
            text += f"; {possible - run} of {possible} epochs were saved by ending weak trials early"
    return text


def failures(study: StudyRecord) -> list[tuple[str, str, str]]:
    """Return kind, number of the trial and message of every failure."""
    return [
        (trial.failure.kind, str(trial.number), trial.failure.message)
        for trial in study.trials
        if trial.failure is not None
    ]
