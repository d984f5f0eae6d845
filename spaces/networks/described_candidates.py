"""Candidates described by meaning (all frozen, the last stage, LoRA everywhere), resolved for a backbone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from spaces.candidate import Candidate, Json
from spaces.errors import CandidateError, SpaceError
from spaces.networks.draws import Likeliest
from spaces.networks.space import Space


def fulfilled(space: Space, wishes: Mapping[str, Json], needs: Collection[str]) -> Candidate | None:
    """Return the candidate that ``wishes`` (by decision) describe in ``space``; None if there is none.

    Wishes that are not needed become plain if the decision is closed or its range lacks them. Decisions without a wish
    are plain, or the most likely value of a range that lacks the plain one.
    """
    values: dict[str, Any] = {}
    chain = space.chain
    for name, decision in space.decisions.items():
        plain = decision.baseline(space.chain)
        choices = space.narrowed(name, chain) if name in space.choices else None
        value = _wished(decision, wishes[name], chain, choices) if name in wishes else plain
        if value is None or not _holds(decision, value, choices, plain):
            if name in needs:
                return None
            value = plain
        if not _holds(decision, value, choices, plain):
            value = decision.sample(Likeliest(), choices)
        values[name] = decision.settle(value, chain)
        try:
            chain = space.after(chain, decision, values[name])
        except SpaceError:
            return None
    if any(need not in values for need in needs):
        return None
    candidate = space.candidate(values)
    return candidate if space.params(candidate) is not None else None


def _wished(decision: Any, wish: Json, chain: Any, choices: Any) -> Any:
    try:
        return decision.meant(wish, chain, choices)
    except CandidateError:
        return None  # a stage or a kind that this backbone does not have


def _holds(decision: Any, value: Any, choices: Any, plain: Any) -> bool:
    if choices is None:
        return bool(value == plain)
    return decision.params(value, choices) is not None
