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

FROZEN, MOVING = "frozen", "moving"
STATISTICS = (MOVING, FROZEN)
_AUTO = "auto"
"""The plain recipe's value in candidates of earlier versions: frozen under AdamW, moving under SGD."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What statistics may do, of ``moving`` and ``frozen``."""

    statistics: tuple[str, ...] = STATISTICS
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("batch_norm.statistics", self.statistics, STATISTICS)


class BatchNorm(Decision[str]):
    """``frozen``: mean and variance stay those of pretraining; scale and shift learn like other parameters.

    ``moving``: every training batch is normalised by its own statistics, which keeps gradients in bounds: at learning
    rates that it bears, frozen ones diverge. Before the network is validated it gets the statistics of whole training
    images (``search/training/statistics.py``), so that crops and small batches leave no trace. Statistics that no
    data were ever seen for, those of a network from scratch or of a new block, always move.
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
        """Return None where no unit learns: all of them run as in validation then."""
        return choices if any(learns(unit) for unit in chain) else None

    def baseline(self, chain: Chain) -> str:
        return MOVING

    def sample(self, suggest: Suggest, choices: tuple[str, ...] | None) -> str:
        return MOVING if choices is None else str(suggest.choice(self.name, choices))

    def params(self, value: str, choices: tuple[str, ...] | None) -> Mapping[str, Scalar] | None:
        if choices is None:
            return {} if value == MOVING else None
        return {self.name: value} if value in choices else None

    def settle(self, value: str, chain: Chain) -> str:
        return value if any(learns(unit) for unit in chain) else MOVING

    def apply(self, chain: Chain, value: str) -> Chain:
        return chain

    def words(self, value: str, chain: Chain) -> str:
        return "" if value == MOVING else f"{value} batch-norm statistics"

    def dump(self, value: str) -> Json:
        return value

    def parse(self, data: Json) -> str:
        return MOVING if data == _AUTO else str(read_choice(self.name, data, STATISTICS))


def keeps_statistics(values: Mapping[str, Any]) -> bool:
    """Return whether batch norms of units that learn keep their statistics, for the value of every decision."""
    return bool(values.get("batch_norm", MOVING) == FROZEN)  # tasks without the decision train as PyTorch does


decision = BatchNorm()
