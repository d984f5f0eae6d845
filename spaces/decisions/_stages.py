"""Stages of a backbone by name, which say where a change is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from spaces.chains import probe
from spaces.chains.chain import Chain
from spaces.errors import CandidateError

NOWHERE, EVERYWHERE = "none", "all"
"""In place of a stage's name: no unit, and every unit."""
LAST, LAST_TWO = "last", "last_two"
"""In place of a stage's name where no backbone is known: its last one, its last two."""
_BLOCKS, _FEWEST_STAGES = 4, 3


def with_stages(chain: Chain) -> Chain:
    """Return ``chain`` remembering its stages, so that they keep their names whatever is edited later."""
    return replace(chain, facts={**chain.facts, "stages": stages(chain)})


def stages(chain: Chain) -> Mapping[str, tuple[str, ...]]:
    """Return the units of every stage by the stage's name, which is its first unit's.

    A stage begins where the feature maps become smaller. Networks whose maps keep their size (vision transformers)
    are split into four blocks of consecutive units instead.
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
    """Return the indices in ``chain`` of the units meant by ``where``: a stage's name, ``all`` or ``none``.

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
    """Return the stage that holds all units at ``indices``, or ``none`` where there are none; else ``where``."""
    if not indices:
        return NOWHERE
    names = {chain.units[index].name for index in indices}
    return next((stage for stage, members in stages(chain).items() if names <= set(members)), where)


def stage_meant(where: str, chain: Chain) -> str:
    """Return the stage that ``last`` or ``last_two`` (the first of them) stands for; other names as they are."""
    names = list(stages(chain))
    return {LAST: names[-1], LAST_TWO: names[-2:][0]}.get(where, where)


def stage_words(where: str, chain: Chain) -> str:
    """Return a description of ``where``: ``all units``, ``features.14`` or ``features.14 to features.16``."""
    if where == EVERYWHERE:
        return "all units"
    units = stages(chain).get(where, (where,))
    return units[0] if len(units) == 1 else f"{units[0]} to {units[-1]}"
