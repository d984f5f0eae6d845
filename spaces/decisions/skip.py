"""Leaves out blocks inside the network that keep their input's shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import nn

from spaces.candidate import Json
from spaces.chains import probe
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, NotApplicable, Scalar, Stage, Suggest, sample_slots, slot_params
from spaces.decisions._checks import check_range, read_names
from spaces.errors import CandidateError


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Blocks that may be left out: at most ``blocks`` in one candidate."""

    blocks: int = 2
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_range("skip.blocks", self.blocks, None, least=1)


@dataclass(frozen=True, slots=True)
class Choices:
    """Names of the units that may be bypassed; up to ``slots`` of them at once."""

    units: tuple[str, ...]
    slots: int


KEPT = 0.9
"""Prior of no change: the loss of a trained block has to be made up for in a few epochs."""

Skipped = tuple[str, ...]
"""Names of the bypassed units, in the chain's order."""


class Skip(Decision[Skipped]):
    """Chosen residual blocks become the identity, as layer dropping does (https://arxiv.org/abs/1909.11556)."""

    name, stage, options = "skip", Stage.CUT, Range
    rank = 1  # among the units that the tail left; before the freeze depth, which does not count skipped units

    def choices(self, chain: Chain, within: Range) -> Choices | NotApplicable:
        units = tuple(facts.name for facts in probe.describe(chain) if facts.can_skip)
        if not units:
            return NotApplicable("no residual block that gives the shape it is given")
        return Choices(units, min(within.blocks, len(units)))

    def baseline(self, chain: Chain) -> Skipped:
        return ()

    def extremes(self, choices: Choices, chain: Chain) -> tuple[Skipped, Skipped]:
        facts = sorted(probe.describe(chain), key=lambda unit: -unit.macs)
        heaviest = {unit.name for unit in facts if unit.name in choices.units}
        chosen = [unit.name for unit in facts if unit.name in heaviest][: choices.slots]
        return tuple(name for name in choices.units if name in chosen), ()

    def sample(self, suggest: Suggest, choices: Choices) -> Skipped:
        return sample_slots(suggest, self.name, choices.units, choices.slots, KEPT)

    def params(self, value: Skipped, choices: Choices) -> Mapping[str, Scalar] | None:
        return slot_params(self.name, value, choices.units, choices.slots)

    def touches(self, choices: Choices, chain: Chain) -> tuple[str, ...]:
        return choices.units

    def variants(self, choices: Choices, chain: Chain) -> tuple[Skipped, ...]:
        return tuple((name,) for name in choices.units)

    def keeps_function(self, value: Skipped, chain: Chain) -> bool:
        return not value

    def settle(self, value: Skipped, chain: Chain) -> Skipped:
        left = {unit.name for unit in chain}
        return tuple(name for name in value if name in left)

    def apply(self, chain: Chain, value: Skipped) -> Chain:
        names = {unit.name for unit in chain}
        may_skip = [facts.name for facts in probe.describe(chain) if facts.can_skip] if value else []
        for name in value:
            if name not in names:
                raise CandidateError(f"candidate: skip: no unit {name!r} in this backbone")
            if name not in may_skip:
                raise CandidateError(
                    f"candidate: skip: {name} may not be left out; {', '.join(may_skip) or 'none'} may"
                )
        units = tuple(
            replace(unit, module=nn.Identity(), skipped=True, edits=(), extra=()) if unit.name in value else unit
            for unit in chain
        )
        return replace(chain, units=units) if value else chain

    def words(self, value: Skipped, chain: Chain) -> str:
        return f"without {', '.join(value)}" if value else ""

    def dump(self, value: Skipped) -> Json:
        return list(value)

    def parse(self, data: Json) -> Skipped:
        return read_names(self.name, data)


decision = Skip()
