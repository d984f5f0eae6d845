"""The share of the study's epochs that a candidate is trained for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import check_choices, read_number
from spaces.decisions._prior import mostly
from spaces.errors import CandidateError


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Shares of ``training.epochs`` that may be tried, above 0 and at most 1; at least one epoch always runs."""

    shares: tuple[float, ...] = (0.25, 0.5, 1.0)
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("epochs.shares", self.shares)
        for share in self.shares:
            if not 0 < share <= 1:
                raise ValueError(f"epochs.shares: a share must be above 0 and at most 1, got {share:g}")


class Epochs(Decision[float]):
    """Training length as a share of the study file's ``training.epochs``; the schedule is scaled with it."""

    name, stage, options = "epochs", Stage.RECIPE, Range

    def choices(self, chain: Chain, within: Range) -> tuple[float, ...]:
        return within.shares

    def baseline(self, chain: Chain) -> float:
        return 1.0

    def sample(self, suggest: Suggest, choices: tuple[float, ...]) -> float:
        return float(suggest.choice("epochs.share", choices, prior=mostly(1.0, 0.8)))

    def params(self, value: float, choices: tuple[float, ...]) -> Mapping[str, Scalar] | None:
        return {"epochs.share": value} if value in choices else None

    def apply(self, chain: Chain, value: float) -> Chain:
        return chain

    def words(self, value: float, chain: Chain) -> str:
        return "" if value == 1 else f"{100 * value:.0f} % of the epochs"

    def dump(self, value: float) -> Json:
        return value

    def parse(self, data: Json) -> float:
        value = float(read_number(self.name, data))
        if not 0 < value <= 1:
            raise CandidateError(f"candidate: {self.name} must be above 0 and at most 1, got {data!r}")
        return value


decision = Epochs()
