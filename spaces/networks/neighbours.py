"""A candidate near a good one: one to three of its decisions drawn again."""

from __future__ import annotations

import random
from collections.abc import Container
from typing import Any

from spaces.candidate import Candidate
from spaces.networks.draws import FromPrior
from spaces.networks.space import Space

_COUNTS = (0.5, 0.3, 0.2)
"""How often one, two and three decisions change: single changes tell the most, several reach farther."""
_LOOKS, _TRIES = 12, 24
_LEAST = 0.02


def neighbour(space: Space, candidate: Candidate, seed: int, among: Container[str] | None = None) -> Candidate:
    """Return a candidate that differs from ``candidate`` in one to three open decisions, drawn from their priors.

    A decision is the more likely to change, the more often its prior disagrees with the candidate: what is mostly off
    is seldom switched on, and a learning rate, which is never the same twice, moves most. The candidate itself if its
    space holds no other.

    Args:
        among: names of the decisions that may change; all by default.
    """
    space = space.member_of(candidate)
    chance = random.Random(seed)
    values, near = space.values(candidate), space.params(candidate) or {}
    draws = FromPrior(chance.getrandbits(32), near)
    drawn: dict[str, list[Any]] = {}
    chain, moot = space.chain, space.moot(values, space.apply(candidate))
    for name, decision in space.decisions.items():
        choices = space.narrowed(name, chain) if name in space.choices else None
        if choices is not None and decision.params(values[name], choices) is None:
            values[name] = decision.sample(draws, choices)  # the plain recipe may lie outside the study's ranges
        if choices is not None and name not in moot and (among is None or name in among):
            nearby = [decision.sample(draws, choices) for _ in range(_LOOKS)]
            drawn[name] = [value for value in nearby if value != values[name]]
        chain = space.after(chain, decision, values[name])
    weights = {name: max(len(others) / _LOOKS, _LEAST * bool(others)) for name, others in drawn.items() if others}
    for _ in range(_TRIES):
        changed = _chosen(weights, chance.choices((1, 2, 3), _COUNTS)[0], chance)
        other = {**values, **{name: chance.choice(drawn[name]) for name in changed}}
        found_candidate = space.candidate(other)
        if found_candidate != candidate:
            return _completed(space, found_candidate, other, moot, draws)
    return candidate


def _completed(
    space: Space, candidate: Candidate, values: dict[str, Any], moot: set[str], draws: FromPrior
) -> Candidate:
    """Return ``candidate`` with values drawn that only now have an effect: the recipe of a former linear probe."""
    chain = space.apply(candidate)
    missing = (moot & set(space.choices)) - space.moot(space.values(candidate), chain)
    drawn = {name: space.decisions[name].sample(draws, space.narrowed(name, chain)) for name in sorted(missing)}
    return space.candidate({**values, **drawn}) if drawn else candidate


def _chosen(weights: dict[str, float], count: int, chance: random.Random) -> list[str]:
    left, chosen = dict(weights), []
    for _ in range(min(count, len(weights))):
        name = chance.choices(list(left), list(left.values()))[0]
        chosen.append(name)
        del left[name]
    return chosen
