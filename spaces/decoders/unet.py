"""Stage by stage back to the finest maps, each joined with the backbone's own: U-Net."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from spaces.decoders._base import Decoder, Enlarge, Plan, classifier, layers, steps_between
from spaces.heads import Tap

_LEAST = 16


class _Unet(nn.Module):
    def __init__(self, plan: Plan) -> None:
        super().__init__()
        taps, depth = plan.taps[::-1], max(plan.depth, 1)
        channels = taps[0].channels
        self.enlarge, self.stages = nn.ModuleList(), nn.ModuleList()
        if len(taps) == 1:
            self.stages.append(layers(channels, plan.width, depth))
            channels = plan.width
        for stage, (coarse, fine) in enumerate(pairwise(taps)):
            steps = steps_between(fine.reduction, coarse.reduction)
            self.enlarge.append(Enlarge(plan.upsampling, channels, steps))
            width = max(plan.width >> stage, _LEAST)
            self.stages.append(layers(channels + fine.channels, width, depth))
            channels = width
        self.classifier = classifier(channels, plan)

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        features, *skips = maps[::-1]
        if not skips:
            features = self.stages[0](features)
        for enlarge, stage, skip in zip(self.enlarge, self.stages, skips, strict=False):
            large = enlarge(features, (skip.shape[-2], skip.shape[-1]))
            features = stage(torch.cat([large, skip], dim=1))
        scores: Tensor = self.classifier(features)
        return scores


class Unet(Decoder):
    """Skip connections from every resolution of the backbone (https://arxiv.org/abs/1505.04597).

    ``width`` channels at the coarsest stage, half as many at each finer one, but at least 16.
    """

    name = "unet"
    least_taps = 2

    def taps(self, taps: Sequence[Tap]) -> tuple[Tap, ...]:
        return tuple(taps)

    def build(self, plan: Plan) -> nn.Module:
        return _Unet(plan)


decoder = Unet()
