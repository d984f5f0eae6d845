"""Strides set to 1: larger feature maps from the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import nn

from spaces.candidate import Json
from spaces.chains import probe
from spaces.chains.chain import Chain, Unit
from spaces.decisions._base import (
    Decision,
    NotApplicable,
    Scalar,
    Stage,
    Suggest,
    multiply_adds,
    sample_slots,
    slot_params,
    usual_multiply_adds,
)
from spaces.decisions._checks import check_range, read_fields, read_names
from spaces.decisions._stages import LAST
from spaces.errors import CandidateError, ProbeError
from spaces.surgery import edits as surgery


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Reductions that may be switched off.

    Attributes:
        reductions: how many at most in one candidate.
        dilate: whether the kernels behind may be dilated, so that their receptive field stays.
        max_growth: most multiply-adds of the changed chain, in multiples of the pretrained one's at its usual size.
    """

    reductions: int = 1
    dilate: bool = False
    max_growth: float = 2.5
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_range("stride.reductions", self.reductions, None, least=1)
        check_range("stride.max_growth", self.max_growth, None, least=1)


STEM = "stem"
"""In the portfolio: the reduction that comes first; all maps behind are twice as large."""
KEPT = 0.9
"""Prior of no change: larger maps help with small objects and cost up to ``max_growth`` times the training."""


@dataclass(frozen=True, slots=True)
class Strides:
    """Names of the reductions that are off, and whether later layers are dilated instead."""

    off: tuple[str, ...] = ()
    dilated: bool = False


@dataclass(frozen=True, slots=True)
class Choices:
    """Reductions that can be switched off; up to ``slots`` of them at once."""

    names: tuple[str, ...]
    slots: int
    dilate: bool


@dataclass(frozen=True, slots=True)
class Reduction:
    """Layers of one unit that shrink the image at one resolution: a main path and its shortcut, or a pool.

    Attributes:
        name: the unit's, or, if a unit reduces more than once (a stem with a pool), the path of the layer.
        place: index of the unit in the chain.
        paths: of the layers in the unit.
        height: of these layers' input, in pixels.
    """

    name: str
    place: int
    paths: tuple[str, ...]
    height: int


class Stride(Decision[Strides]):
    """Strided convolutions and pools, in the stem or later, no longer halve the image; each is chosen by itself."""

    name, stage, options = "stride", Stage.RESHAPE, Range

    def choices(self, chain: Chain, within: Range) -> Choices | NotApplicable:
        base = usual_multiply_adds(chain)
        possible = tuple(
            (reduction.name, macs)
            for reduction in reductions(chain)
            if (macs := self._macs_without(chain, reduction)) is not None
        )
        names = tuple(name for name, macs in possible if macs <= within.max_growth * base)
        if not possible:
            return NotApplicable("no strided convolution or pool that could be switched off")
        if not names:
            least = min(macs for _, macs in possible) / max(base, 1)
            return NotApplicable(
                f"switching off any reduction costs at least {least:.1f} times the FLOPs, "
                f"more than max_growth {within.max_growth:g} allows"
            )
        return Choices(names, min(within.reductions, len(names)), within.dilate)

    def baseline(self, chain: Chain) -> Strides:
        return Strides()

    def extremes(self, choices: Choices, chain: Chain) -> tuple[Strides, Strides]:
        return Strides(), max(
            (Strides((name,)) for name in choices.names), key=lambda value: multiply_adds(self.apply(chain, value)) or 0
        )

    def sample(self, suggest: Suggest, choices: Choices) -> Strides:
        off = sample_slots(suggest, self.name, choices.names, choices.slots, KEPT)
        return Strides(off, bool(suggest.choice("stride.dilated", (False, True))) if off and choices.dilate else False)

    def params(self, value: Strides, choices: Choices) -> Mapping[str, Scalar] | None:
        params = slot_params(self.name, value.off, choices.names, choices.slots)
        if params is None or (value.dilated and not choices.dilate):
            return None
        return params | ({"stride.dilated": value.dilated} if value.off and choices.dilate else {})

    def touches(self, choices: Choices, chain: Chain) -> tuple[str, ...]:
        return tuple(
            chain.units[reduction.place].name for reduction in reductions(chain) if reduction.name in choices.names
        )

    def variants(self, choices: Choices, chain: Chain) -> tuple[Strides, ...]:
        dilated = (False, True) if choices.dilate else (False,)
        return tuple(Strides((name,), also) for name in choices.names for also in dilated)

    def keeps_function(self, value: Strides, chain: Chain) -> bool:
        return not value.off

    def settle(self, value: Strides, chain: Chain) -> Strides:
        left = {reduction.name for reduction in reductions(chain)} if value.off else set()
        off = tuple(name for name in value.off if name in left)
        settled = Strides(off, value.dilated and bool(off))
        if settled.dilated and not any("dilated" in unit.edits for unit in self.apply(chain, settled)):
            return Strides(off)  # no later kernel could reach farther
        return settled

    def apply(self, chain: Chain, value: Strides) -> Chain:
        if not value.off:
            return chain
        known = {reduction.name: reduction for reduction in reductions(chain)}
        for name in value.off:
            if name not in known:
                raise CandidateError(f"candidate: stride: no reduction {name!r} here; there are {', '.join(known)}")
        chosen = [known[name] for name in value.off]
        units = list(chain.units)
        factor = 1
        shapes = [facts.in_shape for facts in probe.describe(chain)] if value.dilated else []
        for index, unit in enumerate(chain.units):
            here = [reduction for reduction in chosen if reduction.place == index]
            factors = _factors(unit, here, factor, shapes[index]) if value.dilated else {}
            units[index] = _changed(unit, here, factors)
            factor *= 2 ** len(here)
        return replace(chain, units=tuple(units))

    def meant(self, wish: Json, chain: Chain, choices: Choices | None) -> Strides | None:
        """Return the last reduction that may be switched off, for ``last``, and the network's first, for ``stem``."""
        if not choices:
            return None
        if wish == STEM:
            first = reductions(chain)[0].name
            return Strides((first,)) if first in choices.names else None
        return Strides(choices.names[-1:]) if wish == LAST else None

    def words(self, value: Strides, chain: Chain) -> str:
        stem = chain.units[0].name
        text = ", ".join("stem stride 1" if name == stem else f"stride 1 in {name}" for name in value.off)
        return f"{text}, dilated behind" if value.dilated else text

    def dump(self, value: Strides) -> Json:
        return {"off": list(value.off), "dilated": value.dilated}

    def parse(self, data: Json) -> Strides:
        value = read_fields(self.name, data, Strides)
        if not isinstance(value.dilated, bool):
            raise CandidateError(f"candidate: stride.dilated must be true or false, got {value.dilated!r}")
        return Strides(read_names("stride.off", value.off), value.dilated)

    def _macs_without(self, chain: Chain, reduction: Reduction) -> int | None:
        """Return the multiply-adds with ``reduction`` off; None if that does not run or enlarges no map."""
        changed = self.apply(chain, Strides((reduction.name,)))
        try:
            before, after = probe.describe(chain), probe.describe(changed)
        except ProbeError:
            return None
        grew = max(after[reduction.place].out_shape[-2:]) > max(before[reduction.place].out_shape[-2:])
        return sum(facts.macs for facts in after) if grew else None


def reductions(chain: Chain) -> tuple[Reduction, ...]:
    """Return every reduction in ``chain``, in order.

    Layers of a unit with inputs of the same size are parallel (a shortcut, the branches of an inception block) and
    form one reduction.

    Raises:
        ProbeError: the chain does not run at its input size.
    """
    listed: list[Reduction] = []
    for index, (unit, facts) in enumerate(zip(chain, probe.describe(chain), strict=True)):
        paths = surgery.reducing(unit.module)
        if not paths:
            continue
        heights = probe.input_heights(unit.module, facts.in_shape)
        groups: dict[int, list[str]] = {}
        for path in paths:
            if path in heights:  # an auxiliary branch may never run
                groups.setdefault(heights[path], []).append(path)
        for height, members in sorted(groups.items(), reverse=True):
            name = unit.name if len(groups) == 1 else members[0]
            listed.append(Reduction(name, index, tuple(members), height))
    return tuple(listed)


def _factors(unit: Unit, off: list[Reduction], before: int, shape: tuple[int, ...]) -> dict[str, int]:
    """Return how much farther each larger kernel of ``unit`` must reach: twice for every reduction before it."""
    convolutions = [conv.path for conv in probe.convolutions(unit.module) if max(conv.kernel) > 1]
    heights = probe.input_heights(unit.module, shape) if convolutions else {}
    factors = {
        path: before * 2 ** sum(heights[path] < reduction.height for reduction in off)
        for path in convolutions
        if path in heights
    }
    return {path: factor for path, factor in factors.items() if factor > 1}


def _changed(unit: Unit, off: list[Reduction], factors: Mapping[str, int]) -> Unit:
    module: nn.Module = unit.module
    edits = unit.edits
    if off:
        module = surgery.remove_stride(module, [path for reduction in off for path in reduction.paths])
        edits = (*edits, "stride 1")
    if factors:
        module = surgery.dilate(module, factors)
        edits = (*edits, "dilated")
    return unit if edits == unit.edits else replace(unit, module=module, edits=edits)


decision = Stride()
