"""A few convolutions on the last maps: the fully convolutional network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from spaces.decoders._base import Decoder, Plan, classifier, layers
from spaces.heads import Tap


class _Fcn(nn.Sequential):
    def __init__(self, plan: Plan) -> None:
        width = plan.width if plan.depth else plan.channels[0]
        super().__init__(layers(plan.channels[0], plan.width, plan.depth), classifier(width, plan))

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        scores: Tensor = super().forward(maps[0])  # type: ignore[no-untyped-call]
        return scores


class Fcn(Decoder):
    """3x3 convolutions and a classifier at the last unit's resolution (https://arxiv.org/abs/1411.4038)."""

    name = "fcn"

    def taps(self, taps: Sequence[Tap]) -> tuple[Tap, ...]:
        return (taps[-1],)

    def build(self, plan: Plan) -> nn.Module:
        return _Fcn(plan)


decoder = Fcn()
