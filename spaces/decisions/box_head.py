"""Width and depth of the layers that classify a box."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import check_numbers, read_fields, read_number
from spaces.decisions._prior import mostly
from spaces.detector import has_part, pretrained_detector


@dataclass(frozen=True, slots=True)
class BoxHead:
    """``depth`` linear layers of ``width`` neurons in Faster R-CNN, twice ``depth`` convolutions in FCOS."""

    width: int = 1024
    depth: int = 2


PLAIN = BoxHead()


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Widths and depths that may be tried."""

    widths: tuple[int, ...] = (256, 512, 1024)
    depths: tuple[int, ...] = (1, 2, 3)
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_numbers("box_head.widths", self.widths, 8, 8192)
        check_numbers("box_head.depths", self.depths, 1, 8)


@dataclass(frozen=True, slots=True)
class Choices:
    """The range, whether the detector has a width and a depth, and their values if it has not."""

    within: Range
    has_width: bool = True
    has_depth: bool = True
    plain: BoxHead = PLAIN


class BoxHeadLayers(Decision[BoxHead]):
    """FCOS has only a depth; other kinds but Faster R-CNN have neither, so that the decision drops out."""

    name, stage, options = "box_head", Stage.HEAD, Range
    tasks = ("detection",)

    def choices(self, chain: Chain, within: Range) -> Choices:
        return Choices(within, plain=self.baseline(chain))

    def narrow(self, choices: Choices, chain: Chain) -> Choices:
        facts = chain.facts
        return replace(choices, has_width=has_part(facts, "box width"), has_depth=has_part(facts, "box depth"))

    def baseline(self, chain: Chain) -> BoxHead:
        """Return the pretrained detector's own value if the chain is the backbone of one with a box head."""
        own = pretrained_detector(chain.facts)
        return BoxHead(own.linear[-1], len(own.linear)) if own and own.linear else PLAIN

    def extremes(self, choices: Choices, chain: Chain) -> tuple[BoxHead, BoxHead]:
        within = choices.within
        return BoxHead(min(within.widths), min(within.depths)), BoxHead(max(within.widths), max(within.depths))

    def settle(self, value: BoxHead, chain: Chain) -> BoxHead:
        seen, plain = self.narrow(Choices(Range()), chain), self.baseline(chain)
        return BoxHead(value.width if seen.has_width else plain.width, value.depth if seen.has_depth else plain.depth)

    def sample(self, suggest: Suggest, choices: Choices) -> BoxHead:
        within, plain = choices.within, choices.plain
        width = (
            int(suggest.choice("box_head.width", within.widths, prior=mostly(choices.plain.width, 0.5)))
            if choices.has_width
            else plain.width
        )
        depth = (
            int(suggest.choice("box_head.depth", within.depths, prior=mostly(choices.plain.depth, 0.6)))
            if choices.has_depth
            else plain.depth
        )
        return BoxHead(width, depth)

    def params(self, value: BoxHead, choices: Choices) -> Mapping[str, Scalar] | None:
        params: dict[str, Scalar] = {}
        if choices.has_width:
            params["box_head.width"] = value.width
        if choices.has_depth:
            params["box_head.depth"] = value.depth
        fits_width = value.width in (choices.within.widths if choices.has_width else (choices.plain.width,))
        fits_depth = value.depth in (choices.within.depths if choices.has_depth else (choices.plain.depth,))
        return params if fits_width and fits_depth else None

    def apply(self, chain: Chain, value: BoxHead) -> Chain:
        return chain

    def words(self, value: BoxHead, chain: Chain) -> str:
        if value == PLAIN or not has_part(chain.facts, "box depth"):
            return ""
        if not has_part(chain.facts, "box width"):
            return f"{2 * value.depth} convolutions per box"
        return f"box head {' -> '.join([str(value.width)] * value.depth)}"

    def dump(self, value: BoxHead) -> Json:
        return {"width": value.width, "depth": value.depth}

    def parse(self, data: Json) -> BoxHead:
        value = read_fields(self.name, data, BoxHead)
        read_number("box_head.width", value.width, whole=True, least=1)
        read_number("box_head.depth", value.depth, whole=True, least=1, most=8)
        return value


decision = BoxHeadLayers()
