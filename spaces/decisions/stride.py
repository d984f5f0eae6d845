"""Strides turned to 1: larger feature maps from the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from spaces import probe, surgery
from spaces.candidate import Json
from spaces.chain import Chain, Unit
from spaces.decisions._base import Decision, NotApplicable, Scalar, Stage, Suggest, check_range, read_fields
from spaces.errors import CandidateError, ProbeError

KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Reductions that may be switched off.

    Attributes:
        reductions: how many at most in one candidate.
        dilate: whether the units behind may be dilated, so that their receptive field stays.
        max_growth: most multiply-adds of the changed chain, in multiples of the pretrained one.
    """

    reductions: int = 1
    dilate: bool = False
    max_growth: float = 2.5
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_range("stride.reductions", self.reductions, None, least=1)
        check_range("stride.max_growth", self.max_growth, None, least=1)


@dataclass(frozen=True, slots=True)
class Strides:
    """Names of the units whose reduction is off, and whether what follows is dilated instead."""

    off: tuple[str, ...] = ()
    dilated: bool = False


@dataclass(frozen=True, slots=True)
class Choices:
    """Units whose reduction can be switched off; ``slots`` of them at once."""

    units: tuple[str, ...]
    slots: int
    dilate: bool


class Stride(Decision[Strides]):
    """Strided convolutions and pools of chosen units no longer halve the image."""

    name, stage, options = "stride", Stage.RESHAPE, Range

    def choices(self, chain: Chain, within: Range) -> Choices | NotApplicable:
        base = _macs(chain)
        found = tuple(
            unit.name
            for unit in chain
            if surgery.reducing(unit.module)
            and (macs := _macs(self.apply(chain, Strides((unit.name,))))) is not None
            and macs <= within.max_growth * (base or 0)
        )
        if not found:
            return NotApplicable("no reduction by two that could be switched off within max_growth")
        return Choices(found, min(within.reductions, len(found)), within.dilate)

    def baseline(self, chain: Chain) -> Strides:
        return Strides()

    def extremes(self, choices: Choices, chain: Chain) -> tuple[Strides, Strides]:
        return Strides(), max(
            (Strides((name,)) for name in choices.units), key=lambda value: _macs(self.apply(chain, value)) or 0
        )

    def sample(self, suggest: Suggest, choices: Choices) -> Strides:
        off: list[str] = []
        for slot in range(1, choices.slots + 1):
            name = str(suggest.choice(f"stride.{slot}", (KEEP, *choices.units)))
            if name == KEEP:
                break
            if name not in off:
                off.append(name)
        dilated = bool(suggest.choice("stride.dilated", (False, True))) if off and choices.dilate else False
        return Strides(tuple(name for name in choices.units if name in off), dilated)

    def params(self, value: Strides, choices: Choices) -> Mapping[str, Scalar] | None:
        unknown = any(name not in choices.units for name in value.off)
        if unknown or len(value.off) > choices.slots or (value.dilated and not choices.dilate):
            return None
        names = [*value.off, *[KEEP] * (len(value.off) < choices.slots)]
        found: dict[str, Scalar] = {f"stride.{slot}": name for slot, name in enumerate(names, 1)}
        return found | ({"stride.dilated": value.dilated} if value.off and choices.dilate else {})

    def settle(self, value: Strides, chain: Chain) -> Strides:
        left = {unit.name for unit in chain}
        off = tuple(name for name in value.off if name in left)
        return Strides(off, value.dilated and bool(off))

    def apply(self, chain: Chain, value: Strides) -> Chain:
        names = [unit.name for unit in chain]
        for name in value.off:
            if name not in names:
                raise CandidateError(f"candidate: stride: no unit {name!r} in this backbone")
            place = names.index(name)
            unit = chain.units[place]
            chain = chain.with_unit(
                place, replace(unit, module=surgery.remove_stride(unit.module), edits=(*unit.edits, "stride 1"))
            )
            if value.dilated:
                behind = tuple(_dilated(unit) for unit in chain.units[place + 1 :])
                chain = replace(chain, units=chain.units[: place + 1] + behind)
        return chain

    def words(self, value: Strides, chain: Chain) -> str:
        first = chain.units[0].name
        text = ", ".join("stem stride 1" if name == first else f"stride 1 in {name}" for name in value.off)
        return f"{text}, dilated behind" if value.dilated else text

    def dump(self, value: Strides) -> Json:
        return {"off": list(value.off), "dilated": value.dilated}

    def parse(self, data: Json) -> Strides:
        return read_fields(self.name, data, Strides)


def _dilated(unit: Unit) -> Unit:
    if not any(max(conv.kernel) > 1 for conv in probe.convolutions(unit.module)):
        return unit
    return replace(unit, module=surgery.dilate(unit.module), edits=(*unit.edits, "dilated"))


def _macs(chain: Chain) -> int | None:
    try:
        return sum(facts.macs for facts in probe.describe(chain))
    except ProbeError:
        return None


decision = Stride()
