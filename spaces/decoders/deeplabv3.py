"""Parallel convolutions of several dilations on the last maps: DeepLabV3."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torchvision.models.segmentation.deeplabv3 import ASPP

from spaces.decoders._base import Decoder, Plan, classifier, layers
from spaces.heads import Tap

_REACH = 96
"""Pixels of the image between the taps of the smallest dilated kernel: rates 6, 12, 18 at an output stride of 16."""


class _DeepLabV3(nn.Sequential):
    def __init__(self, plan: Plan) -> None:
        rate = max(round(_REACH / plan.taps[0].reduction), 1)
        pyramid = ASPP(plan.channels[0], (rate, 2 * rate, 3 * rate), plan.width)
        # A mean is one vector per sample: batch norm cannot train on a batch of one, which full memory may leave.
        pyramid.convs[-1][2] = nn.GroupNorm(1, plan.width)
        super().__init__(pyramid, layers(plan.width, plan.width, plan.depth), classifier(plan.width, plan))

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        scores: Tensor = super().forward(maps[0])  # type: ignore[no-untyped-call]
        return scores


class DeepLabV3(Decoder):
    """torchvision's atrous spatial pyramid pooling, 3x3 convolutions and a classifier.

    As in https://arxiv.org/abs/1706.05587; the decision ``stride`` determines its output stride, and so its dilation
    rates.
    """

    name = "deeplabv3"

    def taps(self, taps: Sequence[Tap]) -> tuple[Tap, ...]:
        return (taps[-1],)

    def build(self, plan: Plan) -> nn.Module:
        return _DeepLabV3(plan)


decoder = DeepLabV3()
