"""The interface of decoders, and the head built from one: maps in, a score for every class at every pixel out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.segmentation.fcn import FCNHead
from torchvision.ops import Conv2dNormActivation

from spaces.errors import SurgeryError
from spaces.heads import Features, MapLayout, Tap

UPSAMPLINGS = ("bilinear", "transposed", "pixel_shuffle")


@dataclass(frozen=True, slots=True)
class DecoderChoice:
    """A decoder.

    Attributes:
        kind: name of a decoder in this package.
        width: channels of its layers; of a U-Net's coarsest stage, which each finer one halves.
        depth: layers of 3x3 convolutions, in a U-Net those of every stage; decoders that are not ``layered`` have
            none.
    """

    kind: str = "fcn"
    width: int = 256
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What a decoder is built for.

    Attributes:
        taps: as chosen by ``Decoder.taps``, the finest first.
        upsampling: one of ``UPSAMPLINGS``, for decoders that enlarge maps on their way.
        dropout: share of channels zeroed before the last layer.
    """

    taps: tuple[Tap, ...]
    classes: int
    width: int
    depth: int
    upsampling: str = "bilinear"
    dropout: float = 0.0

    @property
    def channels(self) -> tuple[int, ...]:
        return tuple(tap.channels for tap in self.taps)


class Decoder(ABC):
    """One way from feature maps to scores. Each file of this package ends with ``decoder = ...()``.

    Class attributes:
        name: the file's name, one of the values of the decision ``decoder``.
        layered: whether its number of layers can be chosen.
        least_taps: outputs at different resolutions below which another decoder does the same.
    """

    name: ClassVar[str]
    layered: ClassVar[bool] = True
    least_taps: ClassVar[int] = 1

    @abstractmethod
    def taps(self, taps: Sequence[Tap]) -> tuple[Tap, ...]:
        """Return the network's outputs that it takes, in order; at least one."""

    @abstractmethod
    def build(self, plan: Plan) -> nn.Module:
        """Return a module that takes the maps ``(N, C, h, w)`` of ``plan.taps`` as a tuple and returns the scores
        ``(N, classes, h, w)`` at the resolution of the first of them."""


@dataclass(frozen=True, slots=True)
class DenseScores:
    """A head's output in training: scores of every pixel, and whatever else the loss needs.

    Attributes:
        logits: ``(N, classes, H, W)`` at the resolution of the network's input; ``auxiliary`` those of a second,
            shallow decoder, whose loss counts ``weight`` times; None without one.
        loss: value of the decision ``segmentation_loss``, which the task computes.
    """

    logits: Tensor
    auxiliary: Tensor | None
    weight: float
    loss: Any


def layers(channels: int, width: int, depth: int) -> nn.Sequential:
    """Return ``depth`` layers of 3x3 convolution, batch norm and ReLU."""
    return nn.Sequential(
        *(Conv2dNormActivation(width if index else channels, width, kernel_size=3) for index in range(depth))
    )


def classifier(channels: int, plan: Plan) -> nn.Sequential:
    """Return dropout of whole channels, followed by the 1x1 convolution that outputs the scores."""
    return nn.Sequential(nn.Dropout2d(plan.dropout), nn.Conv2d(channels, plan.classes, 1))


class Enlarge(nn.Module):
    """Makes maps ``2 ** steps`` times as large, channel by channel, then exactly as large as asked.

    ``transposed`` and ``pixel_shuffle`` (https://arxiv.org/abs/1609.05158) learn a kernel per channel in every step of
    two and start as bilinear interpolation, as the fully convolutional network does (https://arxiv.org/abs/1411.4038).
    """

    def __init__(self, kind: str, channels: int, steps: int) -> None:
        super().__init__()
        if kind not in UPSAMPLINGS:
            raise SurgeryError(f"up-sampling must be one of {', '.join(UPSAMPLINGS)}, got {kind!r}")
        doubling = {"transposed": _Transposed, "pixel_shuffle": _Shuffled}.get(kind)
        self.steps = nn.Sequential(*(doubling(channels) for _ in range(steps))) if doubling else nn.Sequential()

    def forward(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        maps = self.steps(maps)
        if maps.shape[-2:] == size:
            return maps
        return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


class _Transposed(nn.Module):
    """Transposed convolution by two; the border is repeated, so that it starts as bilinear up to the edge."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=3, groups=channels, bias=False)
        line = torch.tensor([0.25, 0.75, 0.75, 0.25])
        with torch.no_grad():
            self.conv.weight.copy_(torch.outer(line, line).expand_as(self.conv.weight))

    def forward(self, maps: Tensor) -> Tensor:
        enlarged: Tensor = self.conv(F.pad(maps, (1, 1, 1, 1), mode="replicate"))
        return enlarged


class _Shuffled(nn.Sequential):
    """A convolution that computes four pixels for each pixel, and the shuffle that arranges them."""

    def __init__(self, channels: int) -> None:
        conv = nn.Conv2d(channels, 4 * channels, 3, padding=1, padding_mode="replicate", groups=channels, bias=False)
        before, behind = torch.tensor([0.25, 0.75, 0.0]), torch.tensor([0.0, 0.75, 0.25])
        pixels = torch.stack([torch.outer(down, across) for down in (before, behind) for across in (before, behind)])
        with torch.no_grad():
            conv.weight.copy_(pixels.repeat(channels, 1, 1)[:, None])
        super().__init__(conv, nn.PixelShuffle(2))


def steps_between(coarse: int, fine: int) -> int:
    """Return the number of doublings from ``coarse`` pixels to about ``fine``; 0 if that is no larger."""
    return max(round(math.log2(fine / coarse)), 0)


class DenseHead(nn.Module):
    """A decoder, the way back to the input's resolution, and an auxiliary classifier for training.

    In eval mode it returns the scores ``(N, classes, H, W)``, in training mode ``DenseScores``.

    Attributes:
        taps: indices of the units whose outputs it receives.
    """

    def __init__(
        self,
        features: Features,
        classes: int,
        decoder: Decoder,
        choice: DecoderChoice,
        *,
        upsampling: str = "bilinear",
        auxiliary: float = 0.0,
        dropout: float = 0.0,
        loss: Any = None,
    ) -> None:
        """Build it on ``features``.

        Raises:
            SurgeryError: the features are not maps.
        """
        super().__init__()
        if not features.taps or features.input_size is None:
            raise SurgeryError(f"a decoder needs feature maps or tokens of patches, got shape {features.shape}")
        self.size = features.input_size
        chosen = decoder.taps(features.taps)
        beside = features.taps[-2] if len(features.taps) > 1 else features.taps[-1]
        self.weight = auxiliary
        self.loss = loss
        asked = {tap.unit: tap for tap in (*chosen, *((beside,) if auxiliary else ()))}
        self.taps = tuple(sorted(asked))
        self.layouts = nn.ModuleList(MapLayout(asked[unit]) for unit in self.taps)
        self._chosen = tuple(self.taps.index(tap.unit) for tap in chosen)
        self._beside = self.taps.index(beside.unit) if auxiliary else -1
        self.decoder = decoder.build(Plan(chosen, classes, choice.width, choice.depth, upsampling, dropout))
        steps = steps_between(chosen[0].grid[0], self.size[0])
        self.enlarge = Enlarge(upsampling, classes, steps)
        self.auxiliary = FCNHead(beside.channels, classes) if auxiliary else None

    def forward(self, outputs: tuple[Tensor, ...]) -> Tensor | DenseScores:
        maps = [layout(output) for layout, output in zip(self.layouts, outputs, strict=True)]
        logits: Tensor = self.enlarge(self.decoder(tuple(maps[index] for index in self._chosen)), self.size)
        if not self.training:
            return logits
        auxiliary = None
        if self.auxiliary is not None:
            small = self.auxiliary(maps[self._beside])
            auxiliary = F.interpolate(small, size=self.size, mode="bilinear", align_corners=False)
        return DenseScores(logits, auxiliary, self.weight, self.loss)
