"""The initial distance of a changed network's features from the pretrained ones, measured on images."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from spaces.chains.chain import Chain
from spaces.decisions.head import features_of
from spaces.heads import pool


@torch.inference_mode()
def feature_change(pretrained: Chain, changed: Chain, images: Tensor) -> float | None:
    """Return how much the pooled final features move: ``|changed - pretrained| / |pretrained|`` (L2) over ``images``.

    0 means the same function. None if their lengths differ, so that there is nothing to compare. Modes are unchanged.

    Args:
        images: ``(N, 3, H, W)``, normalised as the weights expect; scaled for a chain of another input size.
    """
    before, after = (_pooled(chain, images) for chain in (pretrained, changed))
    if before.shape != after.shape:
        return None
    return float((after - before).norm() / before.norm().clamp(min=1e-12))


def _pooled(chain: Chain, images: Tensor) -> Tensor:
    modes = [unit.module.training for unit in chain]
    if images.ndim == 4 and tuple(images.shape[2:]) != chain.input_size:
        images = F.interpolate(images, size=chain.input_size, mode="bilinear", antialias=True, align_corners=False)
    features = features_of(chain)
    pooling, _ = pool(features, next(iter(features.poolings), ""))
    try:
        for unit in chain:
            unit.module.eval()
        vectors: Tensor = pooling(chain.forward(images)).float()
        return vectors
    finally:
        for unit, mode in zip(chain, modes, strict=True):
            unit.module.train(mode)
