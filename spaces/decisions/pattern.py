"""Which part of the unfrozen units learns: all, one stage, norm layers, biases, or the head alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import nn

from spaces.candidate import Json
from spaces.chains.chain import Chain, Trainable, Unit
from spaces.chains.segments import is_norm_layer
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import check_choices, read_choice, read_fields
from spaces.decisions._prior import mostly
from spaces.decisions._stages import EVERYWHERE, stage_meant, stage_words, stages, units_at
from spaces.decisions._trainable import effect
from spaces.errors import CandidateError

KINDS = ("all", "stage", "norm", "bias", "head")
_WORDS = {"norm": "only norm layers trained", "bias": "only biases trained", "head": "only the head trained"}
_PARTS = {"norm": Trainable.NORM, "bias": Trainable.BIAS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Patterns that may be tried.

    Attributes:
        kinds: of ``all``, ``stage`` (one stage at a time), ``norm``, ``bias`` and ``head``.
    """

    kinds: tuple[str, ...] = KINDS
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("pattern.kinds", self.kinds, KINDS)


@dataclass(frozen=True, slots=True)
class Learns:
    """What learns besides the head: ``kind``, and for ``stage`` the name of its first unit."""

    kind: str = "all"
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Choices:
    """Kinds that make sense here, and the stages that may learn alone."""

    kinds: tuple[str, ...]
    stages: tuple[str, ...]


class Pattern(Decision[Learns]):
    """Only part of the unfrozen units learns; the head always does.

    One stage alone is surgical fine-tuning (https://arxiv.org/abs/2210.11466), biases alone BitFit
    (https://arxiv.org/abs/2106.10199), norm layers alone https://arxiv.org/abs/2003.00152.
    """

    name, stage, options = "pattern", Stage.FREEZE, Range
    rank = -1  # asked first: a freeze depth matters only if it leaves something to freeze

    def choices(self, chain: Chain, within: Range) -> Choices:
        names = tuple(name for name in stages(chain) if any(_has_weights(chain.units[i]) for i in _at(name, chain)))
        has = {
            "norm": any(is_norm_layer(layer) for unit in chain for layer in unit.module.modules()),
            "bias": any(path.endswith("bias") for unit in chain for path, _ in unit.module.named_parameters()),
            "stage": len(names) > 1,
        }
        kinds = tuple(kind for kind in within.kinds if has.get(kind, True))
        return Choices(kinds or (KINDS[0],), names)

    def baseline(self, chain: Chain) -> Learns:
        return Learns()

    def sample(self, suggest: Suggest, choices: Choices) -> Learns:
        kind = str(suggest.choice("pattern.kind", choices.kinds, prior=mostly("all", 0.7)))
        return Learns(kind, str(suggest.choice("pattern.stage", choices.stages))) if kind == "stage" else Learns(kind)

    def params(self, value: Learns, choices: Choices) -> Mapping[str, Scalar] | None:
        if value.kind not in choices.kinds or (value.stage and value.stage not in choices.stages):
            return None
        params: dict[str, Scalar] = {"pattern.kind": value.kind}
        return params | ({"pattern.stage": value.stage} if value.stage else {})

    def settle(self, value: Learns, chain: Chain) -> Learns:
        """Return ``value``; all or the head alone if equivalent, and all if the chosen stage was dropped."""
        if value.kind == "all" or (value.kind == "stage" and not _at(value.stage, chain)):
            return Learns()
        wanted = effect(self.apply(chain, value))
        same = (plain for plain in (Learns(), Learns("head")) if effect(self.apply(chain, plain)) == wanted)
        return next(same, value)

    def apply(self, chain: Chain, value: Learns) -> Chain:
        if value.kind == "all":
            return chain
        free = set(_at(value.stage, chain)) if value.kind == "stage" else set()
        units = tuple(
            unit if index in free or unit.trainable is Trainable.NONE else replace(unit, trainable=_part(value.kind))
            for index, unit in enumerate(chain)
        )
        return replace(chain, units=units)

    def meant(self, wish: Json, chain: Chain, choices: Choices | None) -> Learns:
        return Learns(wish["kind"], stage_meant(wish.get("stage", ""), chain))

    def words(self, value: Learns, chain: Chain) -> str:
        if value.kind == "stage":
            return f"only {stage_words(value.stage, chain)} trained"
        return _WORDS.get(value.kind, "")

    def dump(self, value: Learns) -> Json:
        return {"kind": value.kind, "stage": value.stage}

    def parse(self, data: Json) -> Learns:
        value = read_fields(self.name, data, Learns)
        read_choice("pattern.kind", value.kind, KINDS)
        if not isinstance(value.stage, str) or bool(value.stage) is not (value.kind == "stage"):
            raise CandidateError(f"candidate: pattern must name a stage for the kind 'stage' alone, got {data!r}")
        return value


def _at(stage: str, chain: Chain) -> list[int]:
    if stage == EVERYWHERE:
        raise CandidateError("candidate: pattern: a stage must be named after its first unit, got 'all'")
    return units_at("pattern", stage, chain)


def _part(kind: str) -> Trainable:
    return _PARTS.get(kind, Trainable.NONE)


def _has_weights(unit: Unit) -> bool:
    module: nn.Module = unit.module
    return any(True for _ in module.parameters())


decision = Pattern()
