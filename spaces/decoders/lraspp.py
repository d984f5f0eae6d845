"""The last maps weighted by their mean, joined with finer ones: LR-ASPP."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torchvision.models.segmentation.lraspp import LRASPPHead

from spaces.decoders._base import Decoder, Plan
from spaces.heads import Tap

_FINE = 8
"""Reduction of the finer maps, as in MobileNetV3."""


class _LRAspp(nn.Module):
    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d(plan.dropout)
        self.head = LRASPPHead(plan.channels[0], plan.channels[-1], plan.classes, plan.width)

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        scores: Tensor = self.head({"low": self.dropout(maps[0]), "high": self.dropout(maps[-1])})
        return scores


class LRAspp(Decoder):
    """torchvision's lite reduced ASPP, for little cost (https://arxiv.org/abs/1905.02244).

    It takes the last maps and those of stride 8 or nearest to it.
    """

    name = "lraspp"
    layered = False
    least_taps = 2

    def taps(self, taps: Sequence[Tap]) -> tuple[Tap, ...]:
        if len(taps) == 1:
            return (taps[0],)
        fine = [tap for tap in taps[:-1] if tap.reduction <= _FINE] or [taps[0]]
        return (fine[-1], taps[-1])

    def build(self, plan: Plan) -> nn.Module:
        return _LRAspp(plan)


decoder = LRAspp()
