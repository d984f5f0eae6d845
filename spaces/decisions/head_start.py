"""How the head's last layer starts: solved on the initial features, or drawn at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import check_choices, read_choice
from spaces.heads import LEARNT_POOLINGS, HeadChoice

PROBE, RANDOM = "probe", "random"
STARTS = (PROBE, RANDOM)
_TRAINING = (
    *("dropout", "augmentation", "batch_norm", "batch_size", "epochs", "label_smoothing", "mixing", "optimizer"),
    *("penalty", "weight_average"),
)
"""Decisions about training, which a linear probe does without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Starts that may be tried, of ``probe`` and ``random``."""

    starts: tuple[str, ...] = STARTS
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("head_start.starts", self.starts, STARTS)


class HeadStart(Decision[str]):
    """``probe``: the last linear layer is solved on the untrained network's features.

    Linear probing, then fine-tuning (https://arxiv.org/abs/2202.10054): a random head distorts pretrained features
    while it learns what a solver finds in a second. Hidden layers of the head stay random; the last layer is solved
    on their output. If everything before it is frozen, solving it is the whole training.
    """

    name, stage, options = "head_start", Stage.RECIPE, Range
    rank = -1  # before the recipe, of which nothing remains if solving is the whole training
    tasks = ("classification", "multilabel", "regression", "text", "text_multilabel", "text_regression")
    usual = False

    def choices(self, chain: Chain, within: Range) -> tuple[str, ...]:
        return within.starts

    def baseline(self, chain: Chain) -> str:
        return PROBE

    def sample(self, suggest: Suggest, choices: tuple[str, ...]) -> str:
        return str(suggest.choice(self.name, choices))

    def params(self, value: str, choices: tuple[str, ...]) -> Mapping[str, Scalar] | None:
        return {self.name: value} if value in choices else None

    def moot(self, values: Mapping[str, Any], chain: Chain) -> tuple[str, ...]:
        return _TRAINING if is_linear_probe(values, chain) else ()

    def apply(self, chain: Chain, value: str) -> Chain:
        return chain

    def words(self, value: str, chain: Chain) -> str:
        return "" if value == PROBE else "head from random weights"

    def dump(self, value: str) -> Json:
        return value

    def parse(self, data: Json) -> str:
        return str(read_choice(self.name, data, STARTS))


def is_linear_probe(values: Mapping[str, Any], chain: Chain) -> bool:
    """Return whether solving the last layer is the whole training, because nothing before it learns.

    Optimiser, schedule, penalty, label smoothing, dropout, mixing, augmentation, batch size and epochs then change
    nothing.

    Args:
        values: the typed value of every decision, ``Space.values``; ``chain`` the candidate's, ``Space.apply``.
    """
    head: HeadChoice = values["head"]
    return (
        values.get("head_start") == PROBE
        and all(unit.is_frozen for unit in chain)
        and not head.widths
        and head.pooling not in LEARNT_POOLINGS
        and not values["pseudo"].weight
    )


decision = HeadStart()
