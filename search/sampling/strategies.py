"""How the next candidate is found as results come in: near a good one, from the priors, or by the sampler."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from search.records.study import PastTrial, TrialState

Way = Literal["neighbour", "prior", "sampler"]
_SHARE_OF_PRIOR = 0.25
"""Share of the draws without the sampler that come from the priors."""
_MOST = 0.75
"""The sampler's final share: near the best there is always something left to find (PriorBand keeps all three ways too,
https://arxiv.org/abs/2306.12370)."""
_HALFWAY = 16
"""Results beyond the start at which the sampler proposes half of its final share."""
_BEST, _WEIGHTS = 3, (0.5, 0.3, 0.2)


def way(results: int, startup: int, seed: int) -> Way:
    """Return how a trial's candidate is found in a study with that many ``results``; the same for the same ``seed``.

    Before ``startup`` results it is never the sampler, which would know only ranges.
    """
    chance = random.Random(seed)
    learnt = max(results - startup, 0)
    if chance.random() < _MOST * learnt / (learnt + _HALFWAY):
        return "sampler"
    return "prior" if not results or chance.random() < _SHARE_OF_PRIOR else "neighbour"


def good_one(trials: Sequence[PastTrial], *, maximize: bool, seed: int) -> PastTrial | None:
    """Return one of the best three complete trials that break no constraint, the best most often."""
    sign = -1.0 if maximize else 1.0
    done = [
        (sign * trial.value, trial.number, trial)
        for trial in trials
        if trial.state is TrialState.COMPLETE and trial.value is not None and trial.is_feasible and trial.params
    ]
    best = [trial for _, _, trial in sorted(done, key=lambda one: one[:2])[:_BEST]]
    return random.Random(seed).choices(best, _WEIGHTS[: len(best)])[0] if best else None
