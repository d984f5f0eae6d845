"""Sizes and ratios of a detector's anchors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import check_choices, check_numbers, read_choice, read_fields, read_number
from spaces.decisions._prior import mostly
from spaces.detector import has_part

SOURCES = ("usual", "data")
RATIOS: Mapping[str, tuple[float, ...]] = {
    "one": (1.0,),
    "three": (0.5, 1.0, 2.0),
    "five": (0.33, 0.5, 1.0, 2.0, 3.0),
}
"""Aspect ratios: height over width."""


@dataclass(frozen=True, slots=True)
class Anchors:
    """Anchors of a detector.

    Attributes:
        source: ``usual``, the detector's own sizes per level; ``data``, sizes and ratios fitted to the training boxes.
        scale: factor of all sizes.
        ratios: a name of ``RATIOS``; ``data`` brings its own.
    """

    source: str = "usual"
    scale: float = 1.0
    ratios: str = "three"


PLAIN = Anchors()


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Anchors that may be tried; ``ftsearch plan`` shows how well each source covers the training boxes."""

    sources: tuple[str, ...] = SOURCES
    scales: tuple[float, ...] = (0.5, 0.7, 1.0, 1.4)
    ratios: tuple[str, ...] = ("one", "three", "five")
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("anchors.sources", self.sources, SOURCES)
        check_numbers("anchors.scales", self.scales, 0.05, 20)
        check_choices("anchors.ratios", self.ratios, tuple(RATIOS))


@dataclass(frozen=True, slots=True)
class Choices:
    """The range, and whether the detector has anchors at all."""

    within: Range
    has_anchors: bool = True


class AnchorBoxes(Decision[Anchors]):
    """Boxes that no anchor overlaps by half are hardly learnt. FCOS and detectors with queries have no anchors."""

    name, stage, options = "anchors", Stage.HEAD, Range
    tasks = ("detection",)

    def choices(self, chain: Chain, within: Range) -> Choices:
        return Choices(within)

    def narrow(self, choices: Choices, chain: Chain) -> Choices:
        return replace(choices, has_anchors=has_part(chain.facts, "anchors"))

    def baseline(self, chain: Chain) -> Anchors:
        return PLAIN

    def settle(self, value: Anchors, chain: Chain) -> Anchors:
        return value if has_part(chain.facts, "anchors") else PLAIN

    def sample(self, suggest: Suggest, choices: Choices) -> Anchors:
        if not choices.has_anchors:
            return PLAIN
        within = choices.within
        source = str(suggest.choice("anchors.source", within.sources, prior=mostly("usual", 0.6)))
        scale = float(suggest.choice("anchors.scale", within.scales, prior=mostly(1.0, 0.5)))
        ratios = (
            str(suggest.choice("anchors.ratios", within.ratios, prior=mostly(PLAIN.ratios, 0.6)))
            if source == "usual"
            else PLAIN.ratios
        )
        return Anchors(source, scale, ratios)

    def params(self, value: Anchors, choices: Choices) -> Mapping[str, Scalar] | None:
        if not choices.has_anchors:
            return {} if value == PLAIN else None
        within = choices.within
        if value.source not in within.sources or value.scale not in within.scales:
            return None
        params: dict[str, Scalar] = {"anchors.source": value.source, "anchors.scale": value.scale}
        if value.source == "data":
            return params if value.ratios == PLAIN.ratios else None
        return {**params, "anchors.ratios": value.ratios} if value.ratios in within.ratios else None

    def apply(self, chain: Chain, value: Anchors) -> Chain:
        return chain

    def words(self, value: Anchors, chain: Chain) -> str:
        if value == PLAIN:
            return ""
        ratios = "" if value.source == "data" else f" with {value.ratios} ratio{'s' if value.ratios != 'one' else ''}"
        scale = f", {value.scale:g} times as large" if value.scale != 1 else ""
        return f"{'anchors from the data' if value.source == 'data' else 'anchors'}{ratios}{scale}"

    def dump(self, value: Anchors) -> Json:
        return {"source": value.source, "scale": value.scale, "ratios": value.ratios}

    def parse(self, data: Json) -> Anchors:
        value = read_fields(self.name, data, Anchors)
        read_choice("anchors.source", value.source, SOURCES)
        read_choice("anchors.ratios", value.ratios, tuple(RATIOS))
        return replace(value, scale=float(read_number("anchors.scale", value.scale, least=0.01, most=100)))


decision = AnchorBoxes()
