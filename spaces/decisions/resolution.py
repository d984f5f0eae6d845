"""The side of the images that the network receives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, NotApplicable, Scalar, Stage, Suggest, multiply_adds
from spaces.decisions._checks import check_number, check_numbers, read_number
from spaces.decisions._grids import rescale
from spaces.decisions._prior import mostly
from spaces.errors import CandidateError


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Input sizes that may be tried.

    Attributes:
        scales: of the study's ``input_size``; sides are rounded to ``multiple`` pixels. 1 is the study's own.
        multiple: both sides are multiples of it, in pixels.
        max_growth: most multiply-adds at a larger size, in multiples of those at the study's own.
    """

    scales: tuple[float, ...] = (0.5, 0.75, 1.0)
    multiple: int = 16
    max_growth: float = 4.5
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_numbers("resolution.scales", self.scales, 0.1, 4)
        check_number("resolution.multiple", self.multiple, 1, 512)
        check_number("resolution.max_growth", self.max_growth, 1)


class Resolution(Decision[tuple[int, int]]):
    """Images are scaled to another size; position embeddings are resampled to the resulting grid.

    ``(0, 0)`` stands for the study's own size.
    """

    name, stage, options = "resolution", Stage.CUT, Range

    def choices(self, chain: Chain, within: Range) -> dict[str, tuple[int, int]] | NotApplicable:
        if len(chain.input_shape) != 3:
            return NotApplicable("the input is not an image")
        sizes = {f"{height}x{width}": (height, width) for height, width in _scaled(chain, within)}
        others = {name: size for name, size in sizes.items() if size != chain.input_size}
        if not others:
            return NotApplicable("no other scale than the study's own is named")
        most = within.max_growth * (multiply_adds(chain) or 0)
        running = {name: size for name, size in others.items() if self._fits(chain, size, most)}
        if not running:
            return NotApplicable(f"none of {', '.join(others)} pixels runs within max_growth")
        own = f"{chain.input_size[0]}x{chain.input_size[1]}"
        return {own: (0, 0)} | running if 1.0 in within.scales else running

    def _fits(self, chain: Chain, size: tuple[int, int], most: float) -> bool:
        macs = multiply_adds(self.apply(chain, size))
        return macs is not None and macs <= most

    def baseline(self, chain: Chain) -> tuple[int, int]:
        return (0, 0)

    def extremes(self, choices: dict[str, tuple[int, int]], chain: Chain) -> tuple[tuple[int, int], tuple[int, int]]:
        ordered = sorted(size if any(size) else chain.input_size for size in choices.values())
        return ordered[0], ordered[-1]

    def sample(self, suggest: Suggest, choices: dict[str, tuple[int, int]]) -> tuple[int, int]:
        own = next((name for name, size in choices.items() if size == (0, 0)), "")
        return choices[str(suggest.choice(self.name, tuple(choices), prior=mostly(own, 0.6) if own else None))]

    def params(self, value: tuple[int, int], choices: dict[str, tuple[int, int]]) -> Mapping[str, Scalar] | None:
        return next(({self.name: name} for name, size in choices.items() if size == value), None)

    def variants(self, choices: dict[str, tuple[int, int]], chain: Chain) -> tuple[tuple[int, int], ...]:
        return tuple(size for size in choices.values() if size != (0, 0))

    def keeps_function(self, value: tuple[int, int], chain: Chain) -> bool:
        return value in ((0, 0), chain.input_size)

    def settle(self, value: tuple[int, int], chain: Chain) -> tuple[int, int]:
        return (0, 0) if value == chain.input_size else value

    def apply(self, chain: Chain, value: tuple[int, int]) -> Chain:
        if value in ((0, 0), chain.input_size):
            return chain
        scale = (value[0] / chain.input_size[0], value[1] / chain.input_size[1])
        return rescale(replace(chain, input_size=value), scale)

    def words(self, value: tuple[int, int], chain: Chain) -> str:
        return f"{value[0]}x{value[1]} pixels" if value != (0, 0) else ""

    def dump(self, value: tuple[int, int]) -> Json:
        return list(value)

    def parse(self, data: Json) -> tuple[int, int]:
        if not isinstance(data, list | tuple) or len(data) != 2:
            raise CandidateError(f"candidate: resolution must be [height, width] in pixels, got {data!r}")
        height, width = (int(read_number(self.name, side, whole=True)) for side in data)
        if bool(height) is not bool(width):
            raise CandidateError(f"candidate: resolution must be [height, width] in pixels, got {data!r}")
        return height, width


def _scaled(chain: Chain, within: Range) -> list[tuple[int, int]]:
    def side(length: int, scale: float) -> int:
        return length if scale == 1 else max(int(length * scale / within.multiple + 0.5), 1) * within.multiple

    height, width = chain.input_size
    return [(side(height, scale), side(width, scale)) for scale in sorted(within.scales)]


decision = Resolution()
