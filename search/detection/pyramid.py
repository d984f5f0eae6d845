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
from spaces.heads import Features, Tap

_CONVOLVED = 2
"""Levels that torchvision's convolutions behind the last level make, P6 and P7."""


class Pooled(ExtraFPNBlock):  # type: ignore[misc]  # torchvision has no types
    """Coarser levels behind the last one, each every second point of the one before, as Faster R-CNN has one."""

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

    Tokens of a vision transformer are laid out as the map that they came from.
    """

    def __init__(
        self,
        taps: Sequence[Tap],
        grids: Sequence[tuple[int, int]],
        width: int,
        extra: int,
        first: int,
        style: Style = PLAIN_STYLE,
    ) -> None:
        """Make one.

        Args:
            taps: units whose outputs it is given; ``grids`` height and width of each.
            width: channels of every level; ``extra`` levels behind the last tap.
            first: number of tokens before the patch tokens.
            style: of a pretrained detector; its convolved extra levels are two, any other number is pooled.
        """
        super().__init__()
        self.grids, self.first = tuple(grids), first
        self.layouts = tuple(
            "tokens" if len(tap.shape) == 2 else "last" if tap.channels_last else "first" for tap in taps
        )
        self.levels = len(taps) + extra
        blocks = _behind(style.extra, extra, width, taps[-1].channels)
        norm = nn.BatchNorm2d if style.pyramid_norm else None
        self.fpn = FeaturePyramidNetwork([tap.channels for tap in taps], width, extra_blocks=blocks, norm_layer=norm)

    def forward(self, maps: Sequence[Tensor]) -> OrderedDict[str, Tensor]:
        """Return the levels ``(N, width, h, w)`` by name."""
        laid = OrderedDict((str(place), self._laid(found, place).contiguous()) for place, found in enumerate(maps))
        levels: OrderedDict[str, Tensor] = self.fpn(laid)
        return levels

    def _laid(self, found: Tensor, place: int) -> Tensor:
        layout, (height, width) = self.layouts[place], self.grids[place]
        if layout == "first":
            return found
        if layout == "last":
            return found.permute(0, 3, 1, 2)
        tokens = found[:, self.first : self.first + height * width]
        return tokens.transpose(1, 2).reshape(len(found), -1, height, width)


def _behind(style: str, extra: int, width: int, channels: int) -> ExtraFPNBlock | None:
    """Return what makes the levels behind the last tap, which has ``channels``."""
    if style != "pool" and extra == _CONVOLVED:
        return LastLevelP6P7(width if style == "level" else channels, width)
    return Pooled(extra) if extra else None


def chosen_taps(features: Features, finest: int, extra: int = 0) -> tuple[Tap, ...]:
    """Return the taps from the reduction ``finest`` on; the coarsest alone where none is as coarse.

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


def grid_of(tap: Tap, size: tuple[int, int], first: int) -> tuple[int, int]:
    """Return height and width of the map that ``tap`` gives for an input of ``size`` (height, width).

    Raises:
        SurgeryError: its tokens do not fill a grid of the input's proportions.
    """
    if len(tap.shape) == 3:
        height, width = tap.shape[:2] if tap.channels_last else tap.shape[1:]
        return height, width
    count = tap.shape[0] - first
    wanted = size[0] / size[1]
    fitting = [(height, count // height) for height in range(1, count + 1) if count % height == 0]
    if not fitting:
        raise SurgeryError(f"{tap.name} gives {tap.shape[0]} tokens, which are no map of patches")
    best = min(fitting, key=lambda grid: abs(grid[0] / grid[1] - wanted))
    if not 0.75 < best[0] / best[1] / wanted < 1.34:
        raise SurgeryError(
            f"{tap.name} gives {count} tokens, which fill no grid of an input of {size[0]}x{size[1]} pixels"
        )
    return best
