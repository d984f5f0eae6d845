"""A second, shallow pixel classifier after the last stage but one, for training only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import check_numbers, read_number
from spaces.decisions._prior import mostly
from spaces.decisions._stages import mapped
from spaces.decisions._trainable import learns

_MOST = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Weights of its loss relative to the decoder's; 0 for none."""

    weights: tuple[float, ...] = (0.0, 0.2, 0.4)
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_numbers("auxiliary_loss.weights", self.weights, 0, _MOST)


class AuxiliaryLoss(Decision[float]):
    """Supervision in the middle of the backbone; its loss counts 0.4 in https://arxiv.org/abs/1612.01105."""

    name, stage, options = "auxiliary_loss", Stage.RECIPE, Range
    tasks = ("segmentation",)

    def choices(self, chain: Chain, within: Range) -> Range:
        return within

    def narrow(self, choices: Range, chain: Chain) -> Range | None:
        """Return None if nothing before the second classifier learns: it would train only itself."""
        return choices if _teaches(chain) else None

    def settle(self, value: float, chain: Chain) -> float:
        return value if value and _teaches(chain) else 0.0

    def baseline(self, chain: Chain) -> float:
        return 0.0

    def sample(self, suggest: Suggest, choices: Range | None) -> float:
        if choices is None:
            return 0.0
        return float(suggest.choice("auxiliary_loss.weight", choices.weights, prior=mostly(0.0, 0.5)))

    def params(self, value: float, choices: Range | None) -> Mapping[str, Scalar] | None:
        if choices is None:
            return None if value else {}
        return {"auxiliary_loss.weight": value} if value in choices.weights else None

    def apply(self, chain: Chain, value: float) -> Chain:
        return chain

    def words(self, value: float, chain: Chain) -> str:
        return f"auxiliary loss x {value:g}" if value else ""

    def dump(self, value: float) -> Json:
        return value

    def parse(self, data: Json) -> float:
        return float(read_number(self.name, data, most=_MOST))


def _teaches(chain: Chain) -> bool:
    """Return whether anything learns up to the second classifier, after the last stage of maps but one."""
    ends = sorted({facts.reduction: place for place, facts in mapped(chain)}.values())
    place = ends[-2 if len(ends) > 1 else -1] if ends else -1
    return any(learns(unit) for unit in chain.units[: place + 1])


decision = AuxiliaryLoss()
