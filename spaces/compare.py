"""How far a changed network starts from the pretrained one, measured on images."""

from __future__ import annotations

import torch
from torch import Tensor

from spaces.chain import Chain


@torch.inference_mode()
def change(pretrained: Chain, changed: Chain, images: Tensor) -> float | None:
    """Return how much the final features move: ``|changed - pretrained| / |pretrained|`` (L2) over ``images``.

    0 is the same function. None where the features are of another shape, so that there is nothing to compare.
    Both chains run in eval mode and are left in the mode they were in.

    Args:
        images: ``(N, 3, H, W)``, normalised as the weights expect.
    """
    before, after = (_features(chain, images) for chain in (pretrained, changed))
    if before.shape != after.shape:
        return None
    return float((after - before).norm() / before.norm().clamp(min=1e-12))


def _features(chain: Chain, images: Tensor) -> Tensor:
    modes = [unit.module.training for unit in chain]
    try:
        for unit in chain:
            unit.module.eval()
        return chain.forward(images).float()
    finally:
        for unit, mode in zip(chain, modes, strict=True):
            unit.module.train(mode)
