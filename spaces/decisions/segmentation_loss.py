"""The loss over pixels: cross-entropy, Dice, focal, or a sum of two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import check_choices, read_choice
from spaces.decisions._prior import Categorical

KINDS = ("cross_entropy", "dice", "focal", "cross_entropy+dice", "focal+dice")
"""Sums count each named term once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Losses that may be tried: ``cross_entropy``, ``dice``, ``focal``, ``cross_entropy+dice``, ``focal+dice``."""

    kinds: tuple[str, ...] = ("cross_entropy", "focal", "cross_entropy+dice", "focal+dice")
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("segmentation_loss.kinds", self.kinds, KINDS)


class SegmentationLoss(Decision[str]):
    """Cross-entropy, Dice of all pixels of a batch (https://arxiv.org/abs/1606.04797), focal with a gamma of 2
    (https://arxiv.org/abs/1708.02002)."""

    name, stage, options = "segmentation_loss", Stage.RECIPE, Range
    tasks = ("segmentation",)

    def choices(self, chain: Chain, within: Range) -> Range:
        return within

    def baseline(self, chain: Chain) -> str:
        return KINDS[0]

    def sample(self, suggest: Suggest, choices: Range) -> str:
        return str(
            suggest.choice(
                "segmentation_loss.kind", choices.kinds, prior=Categorical({KINDS[0]: 0.4, "cross_entropy+dice": 0.3})
            )
        )

    def params(self, value: str, choices: Range) -> Mapping[str, Scalar] | None:
        return {"segmentation_loss.kind": value} if value in choices.kinds else None

    def apply(self, chain: Chain, value: str) -> Chain:
        return chain

    def words(self, value: str, chain: Chain) -> str:
        return "" if value == KINDS[0] else f"{value.replace('+', ' and ').replace('_', '-')} loss"

    def dump(self, value: str) -> Json:
        return value

    def parse(self, data: Json) -> str:
        return str(read_choice(self.name, data, KINDS))


decision = SegmentationLoss()
