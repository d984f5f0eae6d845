"""Complete candidates, proven in practice, that are tried before anything is drawn.

The members are in ``portfolio.json``, described so that they fit any backbone; ``tests/benchmarks/portfolio.py``
measures them, chooses and orders them greedily (as auto-sklearn 2 does, https://arxiv.org/abs/2007.04074), and writes
that file. Members that a study's space does not hold drop out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import zip_longest
from pathlib import Path

from search.runtime.study_runtime import StudyRuntime
from spaces.candidate import Candidate, Json
from spaces.networks.described_candidates import fulfilled
from spaces.networks.space import Space

FILE = Path(__file__).with_suffix(".json")
PLAIN, BEFORE_PLAIN = "plain", 5
"""Stands for the plain recipe, and how many members are tried before it: three linear probes and two trainings of the
last stage."""
EACH = 2
"""Members tried on every backbone of a study that has several; neighbours of the best come next."""


@dataclass(frozen=True, slots=True)
class PortfolioCandidate:
    """A candidate described for any backbone.

    Attributes:
        wishes: values by decision, as ``Decision.meant`` reads them.
        needs: decisions without which it would be a different candidate.
        why: its reason, for users.
    """

    name: str
    wishes: Mapping[str, Json]
    needs: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Planned:
    """A member adapted to a study's space."""

    member: PortfolioCandidate
    candidate: Candidate


@cache
def members(task: str, kind: str) -> tuple[PortfolioCandidate, ...]:
    """Return the portfolio of ``task``, else that of all whose networks read ``kind`` (``images``, ``tokens``)."""
    known = json.loads(FILE.read_text(encoding="utf-8"))["portfolios"]
    candidates = known.get(task, known.get(kind, ()))
    return tuple(PortfolioCandidate(one["name"], one["wishes"], tuple(one["needs"]), one["why"]) for one in candidates)


@lru_cache(maxsize=4)
def planned(space: Space, task: str) -> tuple[Planned, ...]:
    """Return the members that ``space`` holds, in their order, each different one once; not the plain recipe.

    With several backbones, each takes its turn with the first ``EACH`` members.
    """
    spaces = space.members
    made = [_made(one, members(task, one.chain.kind)) for one in spaces]
    if len(spaces) > 1:
        made = [adapted[:EACH] for adapted in made]
    ordered = [one for row in zip_longest(*made) for one in row if one is not None]
    seen = {space.baseline().fingerprint}
    kept = []
    for one in ordered:
        if one.candidate.fingerprint not in seen:
            seen.add(one.candidate.fingerprint)
            kept.append(one)
    return tuple(kept)


def _made(space: Space, known: Sequence[PortfolioCandidate]) -> list[Planned]:
    found = ((member, fulfilled(space, member.wishes, member.needs)) for member in known)
    return [Planned(member, candidate) for member, candidate in found if candidate is not None]


def plan_of(runtime: StudyRuntime) -> Sequence[str | int | Planned]:
    """Return what is tried before anything is drawn: members of the portfolio, ``PLAIN``, indices of warm starts.

    The cheapest member first. The plain recipe, which takes long and seldom wins, comes after ``BEFORE_PLAIN``
    members, and first where there are none: it is the reference of a study that comes so far and can afford it.
    """
    search = runtime.spec.search
    warm: list[str | int | Planned] = list(range(search.warm_starts))
    if search.portfolio == "off":
        return [PLAIN, *warm]
    known = planned(runtime.space, runtime.task.name)
    ordered: list[str | int | Planned] = [*known[:1], *warm, *known[1:]]
    place = max(min(BEFORE_PLAIN + len(warm), search.target - 1), 0) if known else 0
    return [*ordered[:place], PLAIN, *ordered[place:]]
