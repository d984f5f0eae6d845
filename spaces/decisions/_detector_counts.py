"""Numbers that only some kinds of detectors have: proposals, queries, layers of a decoder."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import read_number
from spaces.decisions._prior import mostly
from spaces.detector import PretrainedDetector, has_part, pretrained_detector


@dataclass(frozen=True, slots=True)
class Choices:
    """Numbers that may be ``offered``, whether the detector has the part at all, and the ``plain`` one."""

    offered: tuple[int, ...]
    plain: int
    is_there: bool = True


class DetectorCount(Decision[int]):
    """A number of a detector's part; for kinds without the part it stays the plain recipe's.

    Class attributes:
        usual_count: the plain recipe's; ``most`` the largest in a candidate.
        phrase: words for people, with braces for the number.
    """

    stage, tasks = Stage.HEAD, ("detection",)
    usual_count: ClassVar[int]
    most: ClassVar[int]
    phrase: ClassVar[str]

    @abstractmethod
    def offered(self, within: Any) -> tuple[int, ...]:
        """Return the numbers that a study file's range names."""

    @abstractmethod
    def own(self, detector: PretrainedDetector) -> int | None:
        """Return the pretrained detector's number; None if it has no such part."""

    def choices(self, chain: Chain, within: Any) -> Choices:
        return Choices(self.offered(within), self.baseline(chain))

    def narrow(self, choices: Choices, chain: Chain) -> Choices:
        return replace(choices, is_there=has_part(chain.facts, self.name))

    def baseline(self, chain: Chain) -> int:
        """Return the number of the pretrained detector whose backbone the chain is, else the usual one."""
        known = pretrained_detector(chain.facts)
        return (self.own(known) if known else None) or self.usual_count

    def settle(self, value: int, chain: Chain) -> int:
        return value if has_part(chain.facts, self.name) else self.baseline(chain)

    def extremes(self, choices: Choices, chain: Chain) -> tuple[int, int]:
        return min(choices.offered), max(choices.offered)

    def sample(self, suggest: Suggest, choices: Choices) -> int:
        if not choices.is_there:
            return choices.plain
        return int(suggest.choice(self.name, choices.offered, prior=mostly(choices.plain, 0.5)))

    def params(self, value: int, choices: Choices) -> Mapping[str, Scalar] | None:
        if not choices.is_there:
            return {} if value == choices.plain else None
        return {self.name: value} if value in choices.offered else None

    def apply(self, chain: Chain, value: int) -> Chain:
        return chain

    def words(self, value: int, chain: Chain) -> str:
        return self.phrase.format(value) if value != self.usual_count and has_part(chain.facts, self.name) else ""

    def dump(self, value: int) -> Json:
        return value

    def parse(self, data: Json) -> int:
        return int(read_number(self.name, data, whole=True, least=1, most=self.most))
