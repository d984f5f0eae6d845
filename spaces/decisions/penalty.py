"""L1, L2 and the distance from the pretrained weights, added to the loss; or decoupled weight decay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import (
    Decision,
    Scalar,
    Stage,
    Suggest,
    check_choices,
    check_range,
    read_choice,
    read_fields,
    read_number,
    rounded,
)

KINDS = ("none", "l1", "l2", "l2_sp", "decay")
_LABELS = {"l1": "L1", "l2": "L2", "l2_sp": "L2-SP", "decay": "weight decay"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Penalties that may be tried, each with the range of its strength (drawn on a log scale).

    Attributes:
        kinds: of ``none``, ``l1``, ``l2``, ``l2_sp`` (toward the pretrained weights) and ``decay`` (decoupled).
        everything: also norm layers and biases, which are left out otherwise.
    """

    kinds: tuple[str, ...] = ("none", "l1", "l2")
    l1: tuple[float, float] = (1e-7, 1e-4)
    l2: tuple[float, float] = (1e-6, 1e-2)
    l2_sp: tuple[float, float] = (1e-5, 1e-1)
    decay: tuple[float, float] = (1e-5, 1e-1)
    everything: bool = False
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("penalty.kinds", self.kinds, KINDS)
        for kind in KINDS[1:]:
            low, high = getattr(self, kind)
            check_range(f"penalty.{kind}", low, high)
            if low <= 0:
                raise ValueError(
                    f"penalty.{kind}: strengths are drawn on a log scale, low must be above 0, got {low:g}"
                )


@dataclass(frozen=True, slots=True)
class Penalty:
    """One penalty and its strength ``lambda``."""

    kind: str = "none"
    strength: float = 0.0
    everything: bool = False


class PenaltyDecision(Decision[Penalty]):
    """The loss becomes the task's loss plus ``lambda`` times the penalty.

    ``l1``: sum of absolute weights. ``l2``: half the sum of squares. ``l2_sp``: half the squared distance from
    the pretrained weights, and from 0 for the head (https://arxiv.org/abs/1802.01483). ``decay``: decoupled
    weight decay in the optimiser (https://arxiv.org/abs/1711.05101).
    """

    name, stage, options = "penalty", Stage.RECIPE, Range

    def choices(self, chain: Chain, within: Range) -> Range:
        return within

    def baseline(self, chain: Chain) -> Penalty:
        return Penalty()

    def sample(self, suggest: Suggest, choices: Range) -> Penalty:
        kind = str(suggest.choice("penalty.kind", choices.kinds))
        if kind == "none":
            return Penalty()
        strength = suggest.real(f"penalty.{kind}", *getattr(choices, kind), log=True)
        return Penalty(kind, rounded(strength, *getattr(choices, kind)), choices.everything)

    def params(self, value: Penalty, choices: Range) -> Mapping[str, Scalar] | None:
        if value.kind not in choices.kinds:
            return None
        if value.kind == "none":
            return {"penalty.kind": "none"}
        low, high = getattr(choices, value.kind)
        return (
            {"penalty.kind": value.kind, f"penalty.{value.kind}": value.strength}
            if low <= value.strength <= high
            else None
        )

    def apply(self, chain: Chain, value: Penalty) -> Chain:
        return chain

    def words(self, value: Penalty, chain: Chain) -> str:
        return "" if value.kind == "none" else f"{_LABELS[value.kind]} {value.strength:.1e}"

    def dump(self, value: Penalty) -> Json:
        return {"kind": value.kind, "strength": value.strength, "everything": value.everything}

    def parse(self, data: Json) -> Penalty:
        value = read_fields(self.name, data, Penalty)
        read_choice("penalty.kind", value.kind, KINDS)
        read_number("penalty.strength", value.strength)
        read_choice("penalty.everything", value.everything, (False, True))
        return value


decision = PenaltyDecision()
