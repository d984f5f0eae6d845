"""L1, L2 and the distance from the pretrained weights, added to the loss; or decoupled weight decay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from spaces.candidate import Json, short
from spaces.chains.chain import Chain
from spaces.chains.segments import is_norm_layer
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import check_choices, check_range, read_choice, read_fields, read_number, rounded
from spaces.decisions._prior import Normal, mostly
from spaces.decisions._trainable import learning

KINDS = ("none", "l1", "l2", "l2_sp", "decay")
_LABELS = {"l1": "L1", "l2": "L2", "l2_sp": "L2-SP", "decay": "weight decay"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Penalties that may be tried, each with the range of its strength (drawn on a log scale).

    Attributes:
        kinds: of ``none``, ``l1``, ``l2``, ``l2_sp`` (toward the pretrained weights) and ``decay`` (decoupled).
        everything: whether norm layers and biases are penalised too.
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


STRENGTHS = {
    "l1": Normal(1e-6, 4),
    "l2": Normal(1e-4, 4),
    "l2_sp": Normal(1e-2, 4),
    "decay": Normal(1e-2, 3),
}
"""Priors: 1e-4 is ResNet's weight decay, 1e-2 AdamW's default; L1 pulls a weight of 0.01 as much as L2 does; L2-SP,
which pulls toward something useful, may be stronger."""


@dataclass(frozen=True, slots=True)
class Penalty:
    """One penalty and its strength ``lambda``."""

    kind: str = "none"
    strength: float = 0.0
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Choices:
    """The range, and whether there is anything for ``l2_sp`` to keep near its pretrained weights."""

    within: Range
    holds: bool = True


class PenaltyDecision(Decision[Penalty]):
    """The loss becomes the task's loss plus ``lambda`` times the penalty.

    ``l1``: sum of absolute weights. ``l2``: half the sum of squares. ``l2_sp``: half the squared distance from
    the pretrained weights, and from 0 for the head (https://arxiv.org/abs/1802.01483). ``decay``: decoupled
    weight decay in the optimiser (https://arxiv.org/abs/1711.05101).
    """

    name, stage, options = "penalty", Stage.RECIPE, Range

    def choices(self, chain: Chain, within: Range) -> Choices:
        return Choices(within)

    def narrow(self, choices: Choices, chain: Chain) -> Choices:
        return replace(choices, holds=_holds(chain, everything=choices.within.everything))

    def baseline(self, chain: Chain) -> Penalty:
        return Penalty()

    def sample(self, suggest: Suggest, choices: Choices) -> Penalty:
        within = choices.within
        kind = str(suggest.choice("penalty.kind", within.kinds, prior=mostly("none", 0.4)))
        if kind == "none":
            return Penalty()
        strength = suggest.real(f"penalty.{kind}", *getattr(within, kind), log=True, prior=STRENGTHS[kind])
        return Penalty(kind, rounded(strength, *getattr(within, kind)), within.everything)

    def params(self, value: Penalty, choices: Choices) -> Mapping[str, Scalar] | None:
        within = choices.within
        if value.kind == "none":
            return {"penalty.kind": "none"} if "none" in within.kinds else None
        same = (value.kind, "l2_sp") if value.kind == "l2" and not choices.holds else (value.kind,)
        for kind in same:
            low, high = getattr(within, kind)
            if kind in within.kinds and low <= value.strength <= high:
                return {"penalty.kind": kind, f"penalty.{kind}": value.strength}
        return None

    def settle(self, value: Penalty, chain: Chain) -> Penalty:
        """Return ``l2`` for an ``l2_sp`` with nothing to keep: for the new head, they are the same."""
        if value.kind == "none" or not value.strength:
            return Penalty()
        is_plain = value.kind == "l2_sp" and not _holds(chain, everything=value.everything)
        return replace(value, kind="l2") if is_plain else value

    def apply(self, chain: Chain, value: Penalty) -> Chain:
        return chain

    def meant(self, wish: Json, chain: Chain, choices: Choices | None) -> Penalty | None:
        if choices is None or wish["kind"] not in choices.within.kinds:
            return None
        low, high = getattr(choices.within, wish["kind"])
        return Penalty(wish["kind"], rounded(wish["strength"], low, high), choices.within.everything)

    def words(self, value: Penalty, chain: Chain) -> str:
        return "" if value.kind == "none" else f"{_LABELS[value.kind]} {short(value.strength)}"

    def dump(self, value: Penalty) -> Json:
        return {"kind": value.kind, "strength": value.strength, "everything": value.everything}

    def parse(self, data: Json) -> Penalty:
        value = read_fields(self.name, data, Penalty)
        read_choice("penalty.kind", value.kind, KINDS)
        read_number("penalty.strength", value.strength)
        read_choice("penalty.everything", value.everything, (False, True))
        return value


def _holds(chain: Chain, *, everything: bool) -> bool:
    """Return whether the penalty applies to any pretrained weight that learns."""
    for unit in chain:
        norms = {id(own) for layer in unit.module.modules() if is_norm_layer(layer) for own in layer.parameters()}
        if any(everything or (weight.ndim > 1 and id(weight) not in norms) for weight in learning(unit)):
            return True
    return False


decision = PenaltyDecision()
