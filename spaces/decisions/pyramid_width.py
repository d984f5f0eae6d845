"""The number of channels of the feature pyramid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import check_numbers, read_number
from spaces.decisions._prior import mostly
from spaces.detector import pretrained_detector
from spaces.errors import CandidateError

PLAIN = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Channels that may be tried: multiples of 32, at least 64, since heads normalise in 32 groups."""

    widths: tuple[int, ...] = (64, 128, 256)
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_numbers("pyramid_width.widths", self.widths, 64, 2048)
        for width in self.widths:
            if width % 32:
                raise ValueError(f"pyramid_width.widths: must be multiples of 32, got {width}")


@dataclass(frozen=True, slots=True)
class Choices:
    """``widths`` that may be tried, a pretrained detector's own among them, and the ``plain`` one."""

    widths: tuple[int, ...]
    plain: int


class PyramidWidth(Decision[int]):
    """Channels of every level, and of the layers on top of it; in detectors with queries, of encoder and decoder."""

    name, stage, options = "pyramid_width", Stage.HEAD, Range
    tasks = ("detection",)

    def choices(self, chain: Chain, within: Range) -> Choices:
        return Choices(tuple(dict.fromkeys((*within.widths, *_own(chain)))), self.baseline(chain))

    def baseline(self, chain: Chain) -> int:
        """Return the width of the pretrained detector whose backbone the chain is, else the usual one."""
        return next(iter(_own(chain)), PLAIN)

    def extremes(self, choices: Choices, chain: Chain) -> tuple[int, int]:
        return min(choices.widths), max(choices.widths)

    def sample(self, suggest: Suggest, choices: Choices) -> int:
        return int(suggest.choice(self.name, choices.widths, prior=mostly(choices.plain, 0.5)))

    def params(self, value: int, choices: Choices) -> Mapping[str, Scalar] | None:
        return {self.name: value} if value in choices.widths else None

    def apply(self, chain: Chain, value: int) -> Chain:
        return chain

    def words(self, value: int, chain: Chain) -> str:
        return f"pyramid of {value} channels" if value != self.baseline(chain) else ""

    def dump(self, value: int) -> Json:
        return value

    def parse(self, data: Json) -> int:
        value = int(read_number(self.name, data, whole=True, least=64, most=2048))
        if value % 32:
            raise CandidateError(f"candidate: pyramid_width must be a multiple of 32, got {value}")
        return value


def _own(chain: Chain) -> tuple[int, ...]:
    """Return the width of the pretrained detector whose backbone the chain is; none for other chains."""
    own = pretrained_detector(chain.facts)
    return (own.width,) if own else ()


decision = PyramidWidth()
