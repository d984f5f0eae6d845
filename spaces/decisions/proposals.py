"""The number of proposals that a detector's second stage classifies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import check_numbers, read_number
from spaces.decisions._prior import mostly
from spaces.detector import pretrained_detector

PLAIN = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers of proposals that may be kept per image."""

    kept: tuple[int, ...] = (100, 300, 1000)
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_numbers("proposals.kept", self.kept, 1, 10000)


@dataclass(frozen=True, slots=True)
class Choices:
    """The range, whether the detector has a second stage, and the value if it has none."""

    within: Range
    has_proposals: bool = True
    plain: int = PLAIN


class Proposals(Decision[int]):
    """Only Faster R-CNN has proposals; fewer are cheaper but may miss objects."""

    name, stage, options = "proposals", Stage.HEAD, Range
    tasks = ("detection",)

    def choices(self, chain: Chain, within: Range) -> Choices:
        return Choices(within, plain=self.baseline(chain))

    def narrow(self, choices: Choices, chain: Chain) -> Choices:
        return replace(choices, has_proposals=_has_proposals(chain))

    def baseline(self, chain: Chain) -> int:
        """Return the pretrained detector's number if the chain is the backbone of one with proposals."""
        own = pretrained_detector(chain.facts)
        return own.proposals if own and own.kind == "faster_rcnn" else PLAIN

    def settle(self, value: int, chain: Chain) -> int:
        return value if _has_proposals(chain) else self.baseline(chain)

    def extremes(self, choices: Choices, chain: Chain) -> tuple[int, int]:
        return min(choices.within.kept), max(choices.within.kept)

    def sample(self, suggest: Suggest, choices: Choices) -> int:
        return (
            int(suggest.choice(self.name, choices.within.kept, prior=mostly(choices.plain, 0.5)))
            if choices.has_proposals
            else choices.plain
        )

    def params(self, value: int, choices: Choices) -> Mapping[str, Scalar] | None:
        if not choices.has_proposals:
            return {} if value == choices.plain else None
        return {self.name: value} if value in choices.within.kept else None

    def apply(self, chain: Chain, value: int) -> Chain:
        return chain

    def words(self, value: int, chain: Chain) -> str:
        return f"{value} proposals" if value != PLAIN and _has_proposals(chain) else ""

    def dump(self, value: int) -> Json:
        return value

    def parse(self, data: Json) -> int:
        return int(read_number(self.name, data, whole=True, least=1, most=10000))


def _has_proposals(chain: Chain) -> bool:
    """Return whether the detector chosen for ``chain`` has a second stage; true while none is chosen."""
    return chain.facts.get("detector") in (None, "faster_rcnn")


decision = Proposals()
