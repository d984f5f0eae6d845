"""Stages of a backbone by name, the places at which changes are made, and the units that end in a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from spaces.chains import probe
from spaces.chains.chain import Chain
from spaces.chains.patches import ROWS_FROM
from spaces.errors import CandidateError

NOWHERE, EVERYWHERE = "none", "all"
"""Stand in for a stage's name: no unit, and every unit."""
LAST, LAST_TWO = "last", "last_two"
"""Stand in for a stage's name before a backbone is known: the last one, the last two."""
_BLOCKS, _FEWEST_STAGES = 4, 3


def with_stages(chain: Chain) -> Chain:
    """Return ``chain`` with its stages recorded, so that they keep their names through later edits."""
    return replace(chain, facts={**chain.facts, "stages": stages(chain)})


def stages(chain: Chain) -> Mapping[str, tuple[str, ...]]:
    """Return the units of every stage by the stage's name, which is its first unit's.

    A stage begins where feature maps become smaller. Networks whose maps keep their size (vision transformers) are
    split into four blocks of consecutive units instead.
    """
    known = chain.facts.get("stages")
    if isinstance(known, Mapping):
        return known
    groups: list[list[str]] = []
    reduction = 0
    for unit in probe.describe(chain):
        if not groups or unit.reduction != reduction:
            groups.append([])
        groups[-1].append(unit.name)
        reduction = unit.reduction
    if len(groups) < _FEWEST_STAGES and len(chain) >= 2 * _BLOCKS:
        names = [unit.name for unit in chain]
        cuts = [round(len(names) * part / _BLOCKS) for part in range(_BLOCKS + 1)]
        groups = [names[start:end] for start, end in pairwise(cuts)]
    return {names[0]: tuple(names) for names in groups}


def units_at(decision: str, where: str, chain: Chain) -> list[int]:
    """Return the indices in ``chain`` of the units at ``where``: a stage's name, ``all`` or ``none``.

    Raises:
        CandidateError: no such stage.
    """
    if where == EVERYWHERE:
        return list(range(len(chain)))
    if where == NOWHERE:
        return []
    members = stages(chain)
    if where not in members:
        raise CandidateError(
            f"candidate: {decision}: no stage {where!r} in this backbone; stages: {', '.join(members)}"
        )
    return [index for index, unit in enumerate(chain.units) if unit.name in members[where]]


def narrowest_stage(where: str, indices: Sequence[int], chain: Chain) -> str:
    """Return the stage that holds all units at ``indices``, ``none`` if there are no units; else ``where``."""
    if not indices:
        return NOWHERE
    names = {chain.units[index].name for index in indices}
    return next((stage for stage, members in stages(chain).items() if names <= set(members)), where)


def stage_meant(where: str, chain: Chain) -> str:
    """Return the stage that ``last`` or ``last_two`` (its first one) stands for; other names unchanged."""
    names = list(stages(chain))
    return {LAST: names[-1], LAST_TWO: names[-2:][0]}.get(where, where)


def stage_words(where: str, chain: Chain) -> str:
    """Return a description of ``where``: ``all units``, ``features.14`` or ``features.14 to features.16``."""
    if where == EVERYWHERE:
        return "all units"
    units = stages(chain).get(where, (where,))
    return units[0] if len(units) == 1 else f"{units[0]} to {units[-1]}"


def mapped(chain: Chain) -> tuple[tuple[int, probe.UnitFacts], ...]:
    """Return place and facts of the units whose outputs are maps, or tokens that can be laid out as one."""
    found = [(place, facts) for place, facts in enumerate(probe.describe(chain)) if len(facts.out_shape) in (2, 3)]
    least = chain.facts.get(ROWS_FROM, 0)
    return tuple((place, facts) for place, facts in found if facts.reduction >= int(str(least)))
