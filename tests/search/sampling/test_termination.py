from __future__ import annotations

import math
import random

from optuna.distributions import FloatDistribution, distribution_to_json

from search.records.study import PastTrial, TrialState
from search.sampling.termination import LEAST, promised

SPACE = {name: distribution_to_json(FloatDistribution(0.0, 1.0)) for name in ("x", "y")}


def trials(count: int, noise: float, *, sign: float = 1.0) -> list[PastTrial]:
    """Trials whose objective is 0.9 at x = 0.5 and falls off to 0.65."""
    chance = random.Random(0)
    places = [(chance.random(), chance.random()) for _ in range(count)]
    values = [sign * (0.9 - (x - 0.5) ** 2 + chance.gauss(0, noise)) for x, _ in places]
    return [
        PastTrial(number, TrialState.COMPLETE, value, {"x": x, "y": y}, SPACE)
        for number, ((x, y), value) in enumerate(zip(places, values, strict=True))
    ]


def test_less_is_promised_the_more_is_known() -> None:
    early, late = (promised(trials(count, 0.002), maximize=True) for count in (LEAST, 80))
    assert late < early
    assert late < 0.01  # the best of eighty is within 0.0001 of what there is
    assert promised(trials(80, 0.05), maximize=True) > 0.02  # luck hides what is left
    assert promised(trials(80, 0.002, sign=-1.0), maximize=False) == late


def test_nothing_is_promised_about_what_is_unknown() -> None:
    assert promised(trials(LEAST - 1, 0.002), maximize=True) == math.inf
    apart = [
        PastTrial(one.number, one.state, one.value, {name: one.params[name]}, {name: SPACE[name]})
        for one, name in zip(trials(40, 0.002), ["x", "y"] * 20, strict=True)
    ]
    assert promised(apart, maximize=True) == math.inf
