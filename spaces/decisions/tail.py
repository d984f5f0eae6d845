"""The number of last units that are removed; the head attaches to the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains import probe
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, NotApplicable, Scalar, Stage, Suggest
from spaces.decisions._checks import check_range, read_number
from spaces.decisions._prior import mostly
from spaces.decisions._stages import stage_meant, units_at
from spaces.errors import CandidateError, RangeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers of units that may be dropped, counted from the end; by default up to a third of them."""

    low: int = 0
    high: int | None = None
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_range("tail", self.low, self.high)


WHOLE = 0.7
"""Prior of dropping nothing: a cut discards pretrained features, which only sometimes helps."""


class Tail(Decision[int]):
    """The last ``k`` units of the pretrained network are left out."""

    name, stage, options = "tail", Stage.CUT, Range

    def choices(self, chain: Chain, within: Range) -> tuple[int, int] | NotApplicable:
        facts = probe.describe(chain)
        most = next((drop for drop in range(len(chain) - 1, -1, -1) if facts[len(chain) - drop - 1].can_end), 0)
        usual = max(len(chain) // 3, within.low, 1)
        high = min(usual if within.high is None else within.high, len(chain))
        if within.low > most or high > most:
            raise RangeError(
                f"space.tail: {within.low}..{high} asked for, but this backbone allows 0..{most} dropped units"
            )
        ends = [facts[len(chain) - drop - 1].can_end for drop in range(high + 1)]
        if not ends[within.low]:
            raise RangeError(f"space.tail: no head fits this backbone without its last {within.low} units")
        while not all(ends[within.low : high + 1]):
            high -= 1
        if within.high == 0:
            return NotApplicable("no unit may be dropped: high is 0")
        return (within.low, high) if high > 0 else NotApplicable("no unit but the last can end this network")

    def baseline(self, chain: Chain) -> int:
        return 0

    def extremes(self, choices: tuple[int, int], chain: Chain) -> tuple[int, int]:
        return choices[1], choices[0]

    def sample(self, suggest: Suggest, choices: tuple[int, int]) -> int:
        return suggest.integer(self.name, *choices, prior=mostly(0, WHOLE))

    def params(self, value: int, choices: tuple[int, int]) -> Mapping[str, Scalar] | None:
        return {self.name: value} if choices[0] <= value <= choices[1] else None

    def meant(self, wish: Json, chain: Chain, choices: tuple[int, int] | None) -> int:
        """Return the number of units in the named stage (``last``) and after it."""
        if isinstance(wish, str):
            return len(chain) - units_at(self.name, stage_meant(wish, chain), chain)[0]
        return self.parse(wish)

    def touches(self, choices: tuple[int, int], chain: Chain) -> tuple[str, ...]:
        return tuple(unit.name for unit in chain.units[len(chain) - choices[1] :])

    def keeps_function(self, value: int, chain: Chain) -> bool:
        return value == 0

    def apply(self, chain: Chain, value: int) -> Chain:
        if value >= len(chain):
            raise CandidateError(f"candidate: tail: {value} units dropped, but this backbone has {len(chain)}")
        return replace(chain, units=chain.units[: len(chain) - value], dropped=chain.dropped + value)

    def words(self, value: int, chain: Chain) -> str:
        return f"first {len(chain) - value} of {len(chain)} units kept" if value else ""

    def dump(self, value: int) -> Json:
        return value

    def parse(self, data: Json) -> int:
        return int(read_number(self.name, data, whole=True))


decision = Tail()
