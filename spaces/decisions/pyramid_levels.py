"""The levels of the feature pyramid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, NotApplicable, Scalar, Stage, Suggest
from spaces.decisions._checks import check_numbers, read_fields, read_number
from spaces.decisions._stages import mapped
from spaces.detector import has_part, pretrained_detector


@dataclass(frozen=True, slots=True)
class Levels:
    """Levels of a pyramid: from the maps at stride ``finest`` to the chain's last, and ``extra`` pooled ones after."""

    finest: int = 8
    extra: int = 1


PLAIN = Levels()


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Pyramids that may be tried.

    Attributes:
        finest: strides (input pixels per step) of the finest level; those that the backbone lacks are ignored.
        extra: numbers of coarser levels after the last unit, each half as large as the one before.
    """

    finest: tuple[int, ...] = (4, 8, 16)
    extra: tuple[int, ...] = (0, 1)
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_numbers("pyramid_levels.finest", self.finest, 1, 128)
        check_numbers("pyramid_levels.extra", self.extra, 0, 3)


class PyramidLevels(Decision[Levels]):
    """Fine levels find small objects and cost the most; coarse ones see more of the image.

    On a changed chain the pyramid begins at the first level that is at least as coarse. A pretrained detector's own
    pyramid can always be chosen. Detectors with queries take the backbone's maps alone.
    """

    name, stage, options = "pyramid_levels", Stage.HEAD, Range
    tasks = ("detection",)

    def choices(self, chain: Chain, within: Range) -> dict[str, Levels] | NotApplicable:
        strides = {unit.reduction for _, unit in mapped(chain)}
        if not strides:
            return NotApplicable("the backbone has no feature maps")
        finest = [stride for stride in within.finest if stride in strides]
        finest = finest or [min(strides, key=lambda stride: (abs(stride - within.finest[0]), stride))]
        named = {
            _named(level): level for stride in finest for extra in within.extra for level in (Levels(stride, extra),)
        }
        own = _own(chain)
        named |= {_named(level): level for level in own}
        return named if len(named) > 1 else NotApplicable("the backbone has maps at a single stride of those named")

    def narrow(self, choices: dict[str, Levels], chain: Chain) -> dict[str, Levels]:
        return {name: self.settle(level, chain) for name, level in choices.items()}

    def settle(self, value: Levels, chain: Chain) -> Levels:
        return value if has_part(chain.facts, "extra levels") else replace(value, extra=self.baseline(chain).extra)

    def baseline(self, chain: Chain) -> Levels:
        """Return the usual pyramid; if no map of the backbone is that coarse, the one from its coarsest map.

        On a pretrained detector's backbone it is the detector's own.
        """
        for own in _own(chain):
            return own
        strides = {unit.reduction for _, unit in mapped(chain)}
        coarse = [stride for stride in strides if stride >= PLAIN.finest]
        return Levels(min(coarse) if coarse else max(strides, default=PLAIN.finest), PLAIN.extra)

    def extremes(self, choices: dict[str, Levels], chain: Chain) -> tuple[Levels, Levels]:
        ordered = sorted(choices.values(), key=lambda level: (-level.finest, level.extra))
        return ordered[0], ordered[-1]

    def sample(self, suggest: Suggest, choices: dict[str, Levels]) -> Levels:
        return choices[str(suggest.choice(self.name, tuple(choices)))]

    def params(self, value: Levels, choices: dict[str, Levels]) -> Mapping[str, Scalar] | None:
        name = next((name for name, level in choices.items() if level == value), None)
        return None if name is None else {self.name: name}

    def apply(self, chain: Chain, value: Levels) -> Chain:
        return chain

    def words(self, value: Levels, chain: Chain) -> str:
        plain = self.baseline(chain)
        if not has_part(chain.facts, "extra levels"):
            return f"maps from stride {value.finest}" if value.finest != plain.finest else ""
        if value in (PLAIN, plain):
            return ""
        pooled = f", {value.extra} pooled level{'s' * (value.extra > 1)}" if value.extra else ", no pooled level"
        return f"pyramid from stride {value.finest}{pooled}"

    def dump(self, value: Levels) -> Json:
        return {"finest": value.finest, "extra": value.extra}

    def parse(self, data: Json) -> Levels:
        value = read_fields(self.name, data, Levels)
        read_number("pyramid_levels.finest", value.finest, whole=True, least=1)
        read_number("pyramid_levels.extra", value.extra, whole=True, most=3)
        return value


def _own(chain: Chain) -> tuple[Levels, ...]:
    """Return the pyramid of the pretrained detector whose backbone the chain is; None for other chains."""
    own = pretrained_detector(chain.facts)
    return (Levels(own.finest, own.extra),) if own else ()


def _named(level: Levels) -> str:
    return f"from stride {level.finest}" + (f" + {level.extra}" if level.extra else "")


decision = PyramidLevels()
