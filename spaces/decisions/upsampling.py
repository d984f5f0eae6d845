"""How a decoder's maps are enlarged to the size of the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import check_choices, read_choice
from spaces.decisions._prior import mostly
from spaces.decoders._base import UPSAMPLINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Ways to enlarge maps: ``bilinear`` interpolation, ``transposed`` convolution, ``pixel_shuffle``."""

    kinds: tuple[str, ...] = UPSAMPLINGS
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("upsampling.kinds", self.kinds, UPSAMPLINGS)


class Upsampling(Decision[str]):
    """Bilinear, or learnt in steps of two that start as bilinear."""

    name, stage, options = "upsampling", Stage.HEAD, Range
    tasks = ("segmentation",)

    def choices(self, chain: Chain, within: Range) -> Range:
        return within

    def baseline(self, chain: Chain) -> str:
        return UPSAMPLINGS[0]

    def sample(self, suggest: Suggest, choices: Range) -> str:
        return str(suggest.choice("upsampling.kind", choices.kinds, prior=mostly(UPSAMPLINGS[0], 0.7)))

    def params(self, value: str, choices: Range) -> Mapping[str, Scalar] | None:
        return {"upsampling.kind": value} if value in choices.kinds else None

    def apply(self, chain: Chain, value: str) -> Chain:
        return chain

    def words(self, value: str, chain: Chain) -> str:
        names = {"transposed": "transposed convolutions up", "pixel_shuffle": "pixel shuffle up"}
        return names.get(value, "")

    def dump(self, value: str) -> Json:
        return value

    def parse(self, data: Json) -> str:
        return str(read_choice(self.name, data, UPSAMPLINGS))


decision = Upsampling()
