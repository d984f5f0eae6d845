"""How much of a label's certainty is spread over the other classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import check_number, check_range, read_number, rounded
from spaces.decisions._prior import Normal


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Smallest and largest share of certainty that may be spread."""

    low: float = 0.0
    high: float = 0.2
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_range("label_smoothing", self.low, self.high)
        check_number("label_smoothing.high", self.high, 0, 0.9)


class LabelSmoothing(Decision[float]):
    """Cross-entropy against ``1 - s`` for the label and ``s`` over all classes (https://arxiv.org/abs/1512.00567)."""

    name, stage, options = "label_smoothing", Stage.RECIPE, Range

    def choices(self, chain: Chain, within: Range) -> Range:
        return within

    def baseline(self, chain: Chain) -> float:
        return 0.0

    def sample(self, suggest: Suggest, choices: Range) -> float:
        return rounded(
            suggest.real(self.name, choices.low, choices.high, prior=Normal(0.05, 0.05)), choices.low, choices.high
        )

    def params(self, value: float, choices: Range) -> Mapping[str, Scalar] | None:
        return {self.name: value} if choices.low <= value <= choices.high else None

    def apply(self, chain: Chain, value: float) -> Chain:
        return chain

    def meant(self, wish: Json, chain: Chain, choices: Range | None) -> float:
        return min(max(float(wish), choices.low), choices.high) if choices else float(wish)

    def words(self, value: float, chain: Chain) -> str:
        return f"label smoothing {value:.2g}" if value else ""

    def dump(self, value: float) -> Json:
        return value

    def parse(self, data: Json) -> float:
        return float(read_number(self.name, data, most=0.9))


decision = LabelSmoothing()
