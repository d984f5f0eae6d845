"""Whether a moving average of the weights is validated and kept, instead of their last values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import check_choices, read_choice
from spaces.decisions._prior import mostly

NONE, MOVING = "none", "moving"
KINDS = (NONE, MOVING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Averages that may be tried, of ``none`` and ``moving``."""

    kinds: tuple[str, ...] = KINDS
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("weight_average.kinds", self.kinds, KINDS)


class WeightAverage(Decision[str]):
    """``moving``: an exponential moving average over steps, with a horizon of a tenth of the training.

    It is smoother than the last weights, and good from the first epochs on, where a search compares candidates
    (https://arxiv.org/abs/2411.18704 has the reasons and the history).
    """

    name, stage, options = "weight_average", Stage.RECIPE, Range

    def choices(self, chain: Chain, within: Range) -> tuple[str, ...]:
        return within.kinds

    def baseline(self, chain: Chain) -> str:
        return NONE

    def sample(self, suggest: Suggest, choices: tuple[str, ...]) -> str:
        return str(suggest.choice(self.name, choices, prior=mostly(MOVING, 0.6)))

    def params(self, value: str, choices: tuple[str, ...]) -> Mapping[str, Scalar] | None:
        return {self.name: value} if value in choices else None

    def apply(self, chain: Chain, value: str) -> Chain:
        return chain

    def words(self, value: str, chain: Chain) -> str:
        return "" if value == NONE else "averaged weights"

    def dump(self, value: str) -> Json:
        return value

    def parse(self, data: Json) -> str:
        return str(read_choice(self.name, data, KINDS))


decision = WeightAverage()
