"""A feature pyramid on the taps of any chain."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock, LastLevelP6P7

from spaces.detector import PLAIN_STYLE, Style
from spaces.errors import SurgeryError
from spaces.heads import Features, MapLayout, Tap

_CONVOLVED = 2
"""Levels that torchvision's convolutions after the last level make, P6 and P7."""


class Pooled(ExtraFPNBlock):  # type: ignore[misc]  # torchvision has no types
    """Coarser levels after the last one, each made of every second point of the one before, as in Faster R-CNN."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, results: list[Tensor], x: list[Tensor], names: list[str]) -> tuple[list[Tensor], list[str]]:
        for _ in range(self.count):
            results.append(F.max_pool2d(results[-1], kernel_size=1, stride=2, padding=0))
            names.append(f"pool{len(names)}")
        return results, names


class Pyramid(nn.Module):
    """Turns tapped outputs into maps of one width, the finest first (https://arxiv.org/abs/1612.03144).

    Tokens of a vision transformer are laid out as the map they came from.
    """

    def __init__(
        self,
        taps: Sequence[Tap],
        width: int,
        extra: int,
        style: Style = PLAIN_STYLE,
    ) -> None:
        """Create a pyramid.

        Args:
            taps: units whose outputs it receives.
            width: channels of every level; ``extra`` the number of levels after the last tap.
            style: of a pretrained detector; its convolved extra levels are two, any other number are pooled.

        Raises:
            SurgeryError: the tokens of a tap are not a grid of square patches.
        """
        super().__init__()
        self.grids = tuple(tap.grid for tap in taps)
        self.layouts = nn.ModuleList(MapLayout(tap) for tap in taps)
        self.levels = len(taps) + extra
        blocks = _behind(style.extra, extra, width, taps[-1].channels)
        norm = nn.BatchNorm2d if style.pyramid_norm else None
        self.fpn = FeaturePyramidNetwork([tap.channels for tap in taps], width, extra_blocks=blocks, norm_layer=norm)

    def forward(self, maps: Sequence[Tensor]) -> OrderedDict[str, Tensor]:
        """Return the levels ``(N, width, h, w)`` by name."""
        mapped = (layout(output).contiguous() for layout, output in zip(self.layouts, maps, strict=True))
        levels: OrderedDict[str, Tensor] = self.fpn(OrderedDict((str(index), one) for index, one in enumerate(mapped)))
        return levels


def _behind(style: str, extra: int, width: int, channels: int) -> ExtraFPNBlock | None:
    """Return the module that makes the levels after the last tap, which has ``channels``."""
    if style != "pool" and extra == _CONVOLVED:
        return LastLevelP6P7(width if style == "level" else channels, width)
    return Pooled(extra) if extra else None


def chosen_taps(features: Features, finest: int, extra: int = 0) -> tuple[Tap, ...]:
    """Return the taps from the reduction ``finest`` on; the coarsest alone if none is that coarse.

    A pyramid with the same first and last level as the pretrained detector's own uses the same units.

    Raises:
        SurgeryError: the chain ends in a vector.
    """
    own = features.detector
    if own is not None and features.detector_taps and (finest, extra) == (own.finest, own.extra):
        return features.detector_taps
    maps = [tap for tap in features.taps if len(tap.shape) in (2, 3)]
    if not maps:
        raise SurgeryError(f"boxes need feature maps or tokens, but the chain ends in shape {features.shape}")
    return tuple(tap for tap in maps if tap.reduction >= finest) or (maps[-1],)
