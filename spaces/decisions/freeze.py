"""The number of leading units that keep their pretrained weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain, Trainable
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import check_range, read_number
from spaces.decisions._prior import Categorical
from spaces.decisions._stages import stage_meant, units_at
from spaces.decisions._trainable import may_freeze
from spaces.errors import CandidateError, RangeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers of units that may be frozen, counted from the input; by default up to all of them."""

    low: int = 0
    high: int | None = None
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_range("freeze", self.low, self.high)


class Freeze(Decision[int]):
    """The first ``k`` units learn nothing and stay in eval mode; the head always learns."""

    name, stage, options = "freeze", Stage.FREEZE, Range

    def choices(self, chain: Chain, within: Range) -> tuple[int, int]:
        return bounds(self.name, within.low, within.high, len(chain))

    def baseline(self, chain: Chain) -> int:
        return 0

    def narrow(self, choices: tuple[int, int], chain: Chain) -> tuple[int, int] | None:
        """Return the depths that the remaining units allow; None if a pattern has frozen units already."""
        if any(unit.trainable is Trainable.NONE for unit in chain):
            return None
        # Only norm layers or biases: with everything frozen, it would be the pattern `head`.
        most = len(chain) - any(unit.trainable is not Trainable.ALL for unit in chain)
        return min(choices[0], most), min(choices[1], most)

    def sample(self, suggest: Suggest, choices: tuple[int, int] | None) -> int:
        return suggest.integer(self.name, *choices, prior=prior(choices[1])) if choices is not None else 0

    def params(self, value: int, choices: tuple[int, int] | None) -> Mapping[str, Scalar] | None:
        if choices is None:
            return {} if value == 0 else None
        return {self.name: value} if choices[0] <= value <= choices[1] else None

    def settle(self, value: int, chain: Chain) -> int:
        """Return the fewest leading units with the same effect: a skipped block has nothing to freeze."""
        value = min(value, len(chain))
        while value and not may_freeze(chain.units[value - 1]):
            value -= 1
        return value

    def reconcile(self, values: Mapping[str, Any], chain: Chain, opened: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a freeze depth for a pattern in which only the last units learn, or none; else the pattern ``head``
        for one in which nothing learns, whatever froze the rest."""
        free = replace(chain, units=tuple(replace(unit, trainable=Trainable.ALL) for unit in chain))
        pattern = values.get("pattern")
        if pattern is None or pattern.kind == "all":
            return {self.name: self.settle(values[self.name], free)}
        kept = next((index for index, unit in enumerate(chain) if may_freeze(unit)), len(chain))
        behind = zip(chain.units[kept:], free.units[kept:], strict=True)
        if any(may_freeze(whole) for unit, whole in behind if unit.trainable is not Trainable.ALL):
            return {}
        depth = self.settle(kept, free)
        low, high = opened.get(self.name, (0, 0))
        if low <= depth <= high:
            return {self.name: depth, "pattern": replace(pattern, kind="all", stage="")}
        if kept == len(chain) and "pattern" in opened and "head" in opened["pattern"].kinds:
            return {self.name: 0, "pattern": replace(pattern, kind="head", stage="")}
        return {}

    def apply(self, chain: Chain, value: int) -> Chain:
        if value > len(chain) + chain.dropped:
            raise CandidateError(f"candidate: freeze: {value} units frozen, but this backbone has {len(chain)}")
        frozen = tuple(replace(unit, trainable=Trainable.NONE) for unit in chain.units[:value])
        return replace(chain, units=frozen + chain.units[value:])

    def meant(self, wish: Json, chain: Chain, choices: Any) -> int:
        """Return that share of all units, or all units before the named stage (``last``)."""
        if isinstance(wish, str):
            return units_at(self.name, stage_meant(wish, chain), chain)[0]
        return round(float(wish) * len(chain))

    def words(self, value: int, chain: Chain) -> str:
        units = len(chain) + chain.dropped
        if value == len(chain):
            return f"all {len(chain)} kept units frozen" if chain.dropped else f"all {units} units frozen"
        return f"first {value} of {units} units frozen" if value else ""

    def dump(self, value: int) -> Json:
        return value

    def parse(self, data: Json) -> int:
        return int(read_number(self.name, data, whole=True))


def prior(most: int) -> Categorical:
    """Return the prior: full training and a linear probe are a little likelier than any depth between (Kornblith 2019,
    https://arxiv.org/abs/1805.08974: either wins, depending on the data)."""
    return Categorical({0: 0.3, most: 0.15}) if most else Categorical({})


def bounds(name: str, low: int, high: int | None, most: int) -> tuple[int, int]:
    """Return ``low, high`` on a chain that allows up to ``most``.

    Raises:
        RangeError: the study file asks for more units than there are.
    """
    if low > most or (high is not None and high > most):
        raise RangeError(
            f"space.{name}: {low}..{high if high is not None else most} asked for, but this backbone allows 0..{most}"
        )
    return low, most if high is None else high


decision = Freeze()
