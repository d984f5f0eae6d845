"""Whether the network learns from unlabelled images, by labels that it predicts itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import check_number, check_range, read_fields, read_number, rounded
from spaces.decisions._prior import mostly

OFF, ON = "off", "on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """How confident the network must be in an image's class to learn from it, and how much such an image counts."""

    threshold: tuple[float, float] = (0.7, 0.99)
    weight: tuple[float, float] = (0.1, 1.0)
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        for name in ("threshold", "weight"):
            low, high = getattr(self, name)
            check_range(f"pseudo.{name}", low, high)
            check_number(f"pseudo.{name}", low, 1e-3)
        check_number("pseudo.threshold", self.threshold[1], 0, 1)


@dataclass(frozen=True, slots=True)
class Pseudo:
    """Images whose class has a probability of at least ``threshold`` count ``weight`` of a labelled one; 0: none do."""

    threshold: float = 0.0
    weight: float = 0.0


class PseudoDecision(Decision[Pseudo]):
    """Pseudo-labels (Lee 2013) with the confidence threshold of FixMatch (https://arxiv.org/abs/2001.07685).

    Needs a folder of unlabelled images (``data.unlabelled``). Such images are new in every epoch, so a candidate that
    learns from them cannot use the prefix cache.
    """

    name, stage, options = "pseudo", Stage.RECIPE, Range
    rank = -2  # before the head's start, which has nothing left to train if no other labels are used

    def choices(self, chain: Chain, within: Range) -> Range:
        return within

    def baseline(self, chain: Chain) -> Pseudo:
        return Pseudo()

    def sample(self, suggest: Suggest, choices: Range) -> Pseudo:
        if suggest.choice("pseudo.labels", (OFF, ON), prior=mostly(OFF, 0.5)) == OFF:
            return Pseudo()
        drawn = [
            rounded(suggest.real(f"pseudo.{name}", low, high), low, high)
            for name, (low, high) in (("threshold", choices.threshold), ("weight", choices.weight))
        ]
        return Pseudo(*drawn)

    def params(self, value: Pseudo, choices: Range) -> Mapping[str, Scalar] | None:
        if not value.weight:
            return {"pseudo.labels": OFF}
        inside = choices.threshold[0] <= value.threshold <= choices.threshold[1]
        inside = inside and choices.weight[0] <= value.weight <= choices.weight[1]
        params: dict[str, Scalar] = {
            "pseudo.labels": ON,
            "pseudo.threshold": value.threshold,
            "pseudo.weight": value.weight,
        }
        return params if inside else None

    def settle(self, value: Pseudo, chain: Chain) -> Pseudo:
        return value if value.weight else Pseudo()

    def apply(self, chain: Chain, value: Pseudo) -> Chain:
        return chain

    def words(self, value: Pseudo, chain: Chain) -> str:
        return f"pseudo-labels from {value.threshold:.2g} on, weight {value.weight:.2g}" if value.weight else ""

    def dump(self, value: Pseudo) -> Json:
        return {"threshold": value.threshold, "weight": value.weight}

    def parse(self, data: Json) -> Pseudo:
        value = read_fields(self.name, data, Pseudo)
        read_number("pseudo.threshold", value.threshold, most=1)
        read_number("pseudo.weight", value.weight)
        return value


decision = PseudoDecision()
