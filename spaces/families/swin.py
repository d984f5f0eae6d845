"""Swin transformers of torchvision: features are ``(N, H, W, C)``; windows are padded, so any size fits."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn
from torchvision.models import SwinTransformer

from spaces.families._base import Family


class Swin(Family):
    """``torchvision.models.SwinTransformer``, version 1 and 2 (https://arxiv.org/abs/2103.14030)."""

    name = "swin"

    def matches(self, network: nn.Module) -> bool:
        return isinstance(network, SwinTransformer)

    def facts(self, network: nn.Module) -> Mapping[str, object]:
        return {"channels_last": True}


family = Swin()
