"""How strongly training images are augmented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import AS_STUDY, Decision, Scalar, Stage, Suggest, of_study
from spaces.decisions._checks import check_choices
from spaces.decisions._prior import Categorical
from spaces.errors import CandidateError

PRIOR = Categorical({"light": 0.5, "medium": 0.25})
"""Prior: crops and mirroring; stronger augmentation needs longer training than a trial has."""
STRENGTHS = ("none", "light", "medium", "strong", "randaugment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Strengths that may be tried, of ``none``, ``light``, ``medium``, ``strong`` and ``randaugment``.

    Whether images may be mirrored is set by the study file's ``training.flip``.
    """

    strengths: tuple[str, ...] = ("light", "medium", "strong")
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("augmentation.strengths", self.strengths, STRENGTHS)


@dataclass(frozen=True, slots=True)
class Choices:
    """Strengths that may be chosen, and the study file's own; None without a study."""

    strengths: tuple[str, ...]
    own: str | None = None


class AugmentationDecision(Decision[str]):
    """Random crops, mirroring, colours, RandAugment (https://arxiv.org/abs/1909.13719).

    ``study`` takes the study file's ``training.augmentation``.
    """

    name, stage, options = "augmentation", Stage.RECIPE, Range

    def choices(self, chain: Chain, within: Range) -> Choices:
        return Choices(within.strengths, of_study(self.name, chain))

    def baseline(self, chain: Chain) -> str:
        return AS_STUDY

    def sample(self, suggest: Suggest, choices: Choices) -> str:
        return str(suggest.choice(self.name, choices.strengths, prior=PRIOR))

    def params(self, value: str, choices: Choices) -> Mapping[str, Scalar] | None:
        strength = choices.own if value == AS_STUDY else value
        return {self.name: strength} if strength in choices.strengths else None

    def settle(self, value: str, chain: Chain) -> str:
        return AS_STUDY if value == of_study(self.name, chain) else value

    def apply(self, chain: Chain, value: str) -> Chain:
        return chain

    def words(self, value: str, chain: Chain) -> str:
        return "" if value == AS_STUDY else f"{value} augmentation"

    def dump(self, value: str) -> Json:
        return value

    def parse(self, data: Json) -> str:
        allowed = (AS_STUDY, *STRENGTHS)
        if not isinstance(data, str) or data not in allowed:
            raise CandidateError(f"candidate: {self.name} must be one of {', '.join(allowed)}, got {data!r}")
        return data


decision = AugmentationDecision()
