"""Whether batch norms keep their pretrained statistics while the units that hold them learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, NotApplicable, Scalar, Stage, Suggest
from spaces.decisions._checks import check_choices, read_choice
from spaces.decisions._trainable import learns

AUTO, FROZEN, MOVING = "auto", "frozen", "moving"
STATISTICS = (AUTO, FROZEN, MOVING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Treatments of the statistics, of ``auto``, ``frozen`` and ``moving``."""

    statistics: tuple[str, ...] = (MOVING, FROZEN)
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("batch_norm.statistics", self.statistics, STATISTICS)


class BatchNorm(Decision[str]):
    """``frozen``: mean and variance stay those of pretraining; scale and shift learn like other parameters.

    ``moving``: every training batch is normalised by its own statistics, and validation uses their moving average.
    On a few hundred images their noise, and the change from pretraining, cost more than they gain. But they also
    bound gradients, without which SGD diverges at rates that it otherwise bears: ``auto``, the plain recipe's value,
    is frozen under AdamW and moving under SGD. Statistics that never saw data, in a network from scratch or a new
    block, always move.
    """

    name, stage, options = "batch_norm", Stage.RECIPE, Range
    tasks = ("classification", "multilabel", "regression")
    usual = False

    def choices(self, chain: Chain, within: Range) -> tuple[str, ...] | NotApplicable:
        if not any(
            isinstance(layer, nn.modules.batchnorm._BatchNorm) for unit in chain for layer in unit.module.modules()
        ):
            return NotApplicable("the network has no batch norm")
        return within.statistics

    def narrow(self, choices: tuple[str, ...], chain: Chain) -> tuple[str, ...] | None:
        """Return None if no unit learns: all of them then run as in validation."""
        return choices if any(learns(unit) for unit in chain) else None

    def baseline(self, chain: Chain) -> str:
        return AUTO

    def sample(self, suggest: Suggest, choices: tuple[str, ...] | None) -> str:
        return AUTO if choices is None else str(suggest.choice(self.name, choices))

    def params(self, value: str, choices: tuple[str, ...] | None) -> Mapping[str, Scalar] | None:
        if choices is None:
            return {} if value == AUTO else None
        return {self.name: value} if value in choices else None

    def settle(self, value: str, chain: Chain) -> str:
        return value if any(learns(unit) for unit in chain) else AUTO

    def apply(self, chain: Chain, value: str) -> Chain:
        return chain

    def words(self, value: str, chain: Chain) -> str:
        return "" if value == AUTO else f"{value} batch-norm statistics"

    def dump(self, value: str) -> Json:
        return value

    def parse(self, data: Json) -> str:
        return str(read_choice(self.name, data, STATISTICS))


def keeps_statistics(values: Mapping[str, Any]) -> bool:
    """Return whether batch norms in learning units keep their statistics, given the values of all decisions."""
    value = values.get("batch_norm", MOVING)  # tasks without the decision train as PyTorch does
    return bool(value == FROZEN or (value == AUTO and values["optimizer"].name == "adamw"))


decision = BatchNorm()
