"""The number of samples in a training step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import AS_STUDY, Decision, Scalar, Stage, Suggest, of_study
from spaces.decisions._checks import check_choices
from spaces.decisions._prior import mostly
from spaces.errors import CandidateError


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Batch sizes that may be tried."""

    sizes: tuple[int, ...] = (16, 32, 64)
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("batch_size.sizes", self.sizes)
        for size in self.sizes:
            if size < 2:
                raise ValueError(f"batch_size.sizes: batch norm needs at least 2 samples per step, got {size}")


@dataclass(frozen=True, slots=True)
class Choices:
    """Sizes that may be chosen, and the study file's own; None without a study."""

    sizes: tuple[int, ...]
    own: int | None = None


class BatchSize(Decision[int | None]):
    """Samples per step; None takes the study file's ``training.batch_size``.

    Learning rates are decisions of their own and are not scaled with it.
    """

    name, stage, options = "batch_size", Stage.RECIPE, Range

    def choices(self, chain: Chain, within: Range) -> Choices:
        return Choices(within.sizes, of_study(self.name, chain))

    def baseline(self, chain: Chain) -> int | None:
        return None

    def sample(self, suggest: Suggest, choices: Choices) -> int | None:
        return int(suggest.choice(self.name, choices.sizes, prior=mostly(32, 0.5)))

    def params(self, value: int | None, choices: Choices) -> Mapping[str, Scalar] | None:
        size = choices.own if value is None else value
        return {self.name: size} if size in choices.sizes else None

    def settle(self, value: int | None, chain: Chain) -> int | None:
        return None if value == of_study(self.name, chain) else value

    def apply(self, chain: Chain, value: int | None) -> Chain:
        return chain

    def words(self, value: int | None, chain: Chain) -> str:
        return "" if value is None else f"batches of {value}"

    def dump(self, value: int | None) -> Json:
        return AS_STUDY if value is None else value

    def parse(self, data: Json) -> int | None:
        if data == AS_STUDY:
            return None
        if isinstance(data, bool) or not isinstance(data, int) or data < 1:
            raise CandidateError(f"candidate: {self.name} must be {AS_STUDY!r} or a whole number from 1, got {data!r}")
        return data


decision = BatchSize()
