"""The decoder that turns feature maps into a prediction for every pixel: its kind, width and depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.chains.patches import patch_grid_of
from spaces.decisions._base import Decision, NotApplicable, Scalar, Stage, Suggest
from spaces.decisions._checks import check_choices, check_range, read_choice, read_fields, read_number
from spaces.decisions._prior import mostly
from spaces.decisions._stages import mapped
from spaces.decoders import decoders
from spaces.decoders._base import DecoderChoice
from spaces.errors import SurgeryError

_MOST_LAYERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Decoders that may be tried.

    Attributes:
        kinds: ``fcn``, ``deeplabv3``, ``lraspp``, ``unet``, or those of other packages.
        widths: channels; ``depths`` numbers of 3x3 convolutions, in a U-Net those of every stage.
    """

    kinds: tuple[str, ...] = ("fcn", "deeplabv3", "lraspp", "unet")
    widths: tuple[int, ...] = (64, 128, 256)
    depths: tuple[int, ...] = (1, 2)
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("decoder.kinds", self.kinds, tuple(decoders()))
        check_choices("decoder.widths", self.widths)
        check_range("decoder.widths", min(self.widths), None, least=1)
        check_choices("decoder.depths", self.depths, range(1, _MOST_LAYERS + 1))


@dataclass(frozen=True, slots=True)
class Choices:
    """The range, with the decoders that differ on this backbone."""

    within: Range
    kinds: tuple[str, ...]


class DecoderDecision(Decision[DecoderChoice]):
    """FCN, DeepLabV3, LR-ASPP or U-Net, with its width and, if it has one, its depth."""

    name, stage, options = "decoder", Stage.HEAD, Range
    tasks = ("segmentation",)

    def choices(self, chain: Chain, within: Range) -> Choices | NotApplicable:
        maps = [facts for _, facts in mapped(chain)]
        if not maps:
            return NotApplicable("no unit of the backbone gives feature maps or tokens of patches")
        if len(maps[-1].out_shape) == 2:
            try:
                patch_grid_of(chain, maps[-1].out_shape[0])
            except SurgeryError as error:
                return NotApplicable(str(error))
        levels = len({facts.reduction for facts in maps})
        known = decoders()
        fitting = tuple(kind for kind in within.kinds if known[kind].least_taps <= levels)
        if not fitting:
            return NotApplicable(
                f"the backbone has {levels} resolution; {', '.join(within.kinds)} need more, fcn and deeplabv3 do not"
            )
        return Choices(within, fitting)

    def baseline(self, chain: Chain) -> DecoderChoice:
        return DecoderChoice()

    def extremes(self, choices: Choices, chain: Chain) -> tuple[DecoderChoice, DecoderChoice]:
        within = choices.within
        small = "lraspp" if "lraspp" in choices.kinds else choices.kinds[0]
        large = "deeplabv3" if "deeplabv3" in choices.kinds else choices.kinds[-1]
        return (
            _plain(small, min(within.widths), min(within.depths)),
            _plain(large, max(within.widths), max(within.depths)),
        )

    def sample(self, suggest: Suggest, choices: Choices) -> DecoderChoice:
        kind = str(suggest.choice("decoder.kind", choices.kinds, prior=mostly("deeplabv3", 0.4)))
        width = int(suggest.choice("decoder.width", choices.within.widths))
        depth = int(suggest.choice("decoder.depth", choices.within.depths)) if decoders()[kind].layered else 1
        return _plain(kind, width, depth)

    def params(self, value: DecoderChoice, choices: Choices) -> Mapping[str, Scalar] | None:
        within = choices.within
        layered = value.kind in choices.kinds and decoders()[value.kind].layered
        if value.kind not in choices.kinds or value.width not in within.widths:
            return None
        if layered and value.depth not in within.depths:
            return None
        params: dict[str, Scalar] = {"decoder.kind": value.kind, "decoder.width": value.width}
        return params | ({"decoder.depth": value.depth} if layered else {})

    def settle(self, value: DecoderChoice, chain: Chain) -> DecoderChoice:
        return _plain(value.kind, value.width, value.depth)

    def apply(self, chain: Chain, value: DecoderChoice) -> Chain:
        return chain

    def words(self, value: DecoderChoice, chain: Chain) -> str:
        depth = f", {value.depth} layers" if value.depth > 1 else ""
        return f"{value.kind} decoder of {value.width} channels{depth}"

    def dump(self, value: DecoderChoice) -> Json:
        return {"kind": value.kind, "width": value.width, "depth": value.depth}

    def parse(self, data: Json) -> DecoderChoice:
        value = read_fields(self.name, data, DecoderChoice)
        read_choice("decoder.kind", value.kind, tuple(decoders()))
        read_number("decoder.width", value.width, whole=True, least=1)
        read_number("decoder.depth", value.depth, whole=True, least=1, most=_MOST_LAYERS)
        return value


def _plain(kind: str, width: int, depth: int) -> DecoderChoice:
    """Return the choice, with one layer if the decoder has no depth, so that equal networks are equal values."""
    return DecoderChoice(kind, width, depth if decoders()[kind].layered else 1)


decision = DecoderDecision()
