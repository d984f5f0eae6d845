"""Candidates of a search retrained outside of it. No torch, no SQL."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from statistics import mean
from typing import Any

from search.records.states import TrialState

Json = Any


@dataclass(frozen=True, slots=True)
class Repeat:
    """A candidate of the search retrained with a fresh seed: not a trial, so no sampler and no ranking sees it.

    Attributes:
        trial: the one whose candidate it is.
        seed: counted from 1; the same for all candidates, so that they can be compared in pairs.
        fold: counted from 1, of ``folds``; 1 of 1 are the study's own training and validation images.
        fraction: of the training images; 1 for all. ``images`` is their number, once it has run.
        value: the objective at the best epoch; ``calibrated_loss`` there, where the task measures it.
        failure: why there is no value.
    """

    trial: int
    seed: int
    fold: int = 1
    folds: int = 1
    fraction: float = 1.0
    state: TrialState = TrialState.WAITING
    value: float | None = None
    calibrated_loss: float | None = None
    images: int | None = None
    seconds: float = 0.0
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Refit:
    """A candidate trained for use, and scored on the test images.

    Attributes:
        number: counted from 0 within the study's refits.
        trial: the one whose candidate it is; None for one from a file.
        data: what it was trained on, ``train`` or ``train+val``.
        ema: whether the weights are an exponential moving average; ``tta``: whether predictions were also averaged
            over views of an image.
        test: metrics on the test images, one view each, as the exported model predicts; empty when there are none, or
            before it has ended. ``views`` is the same with predictions averaged over views; empty without ``tta``.
        evaluation: ``records.Evaluation`` of the test images.
        look: number of this look at the test images, counted from 1; only the first is an honest estimate.
        checkpoint: its name in the study's artifacts.
        trainings: number of trainings whose weights, or outputs, are averaged.
        branches: number of them, or of means of several, that stand side by side behind the frozen units; with
            ``has_start``, one of them is the network before training.
        is_mirrored: whether its outputs are the mean of those for an image and for its mirror image.
        flops: floating-point operations of one forward pass; 0 where an older version did not count them.
        is_final: made by the search at its end, on training and validation data; test data were not looked at.
    """

    number: int
    trial: int | None
    words: str
    candidate: Json
    data: str
    epochs: int
    ema: bool
    tta: bool
    state: TrialState
    test: Mapping[str, float] = field(default_factory=dict)
    views: Mapping[str, float] = field(default_factory=dict)
    look: int | None = None
    evaluation: Json = None
    images: int | None = None
    checkpoint: str | None = None
    seconds: float = 0.0
    ended: str = ""
    finished_at: datetime | None = None
    trainings: int = 1
    branches: int = 1
    has_start: bool = False
    is_mirrored: bool = False
    flops: int = 0
    is_final: bool = False


def means(
    repeats: Iterable[Repeat],
    searched: Mapping[int, float | None],
    of: Callable[[Repeat], float | None] = attrgetter("value"),
) -> dict[int, tuple[int, float]]:
    """Return for every retrained trial its number of trainings, including the search's own, and their mean.

    Only trainings on all training samples count, and of those only seeds and folds that all of these trials share
    with the first one, so that none has the easier ones. Empty if there are fewer than two such trials.

    Args:
        searched: the search's own values by trial number, the best first; a trial without one does not count.
        of: what is averaged; the objective by default.
    """
    own_values = {trial: value for trial, value in searched.items() if value is not None}
    runs: dict[int, dict[tuple[int, int, int], float]] = {}
    for run in repeats:
        value = of(run)
        if value is not None and math.isfinite(value) and run.fraction == 1 and run.trial in own_values:
            runs.setdefault(run.trial, {})[run.seed, run.fold, run.folds] = value
    best = runs.get(next(iter(own_values), -1), {})
    runs = {trial: own for trial, own in runs.items() if own.keys() & best.keys()}
    common = set.intersection(*map(set, runs.values())) if runs else set()
    if len(runs) < 2 or not common:
        return {}
    # Summed in the same order, and rounded: the last digit of a sum must not decide anything.
    values = {trial: [own_values[trial], *(own[key] for key in sorted(common))] for trial, own in runs.items()}
    return {trial: (len(repeated), round(mean(repeated), 12)) for trial, repeated in values.items()}
