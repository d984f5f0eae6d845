"""Vision transformers of torchvision: class token and position embedding, resampled for another image size."""

from __future__ import annotations

from collections.abc import Mapping
from types import MethodType

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer

from spaces.errors import ProbeError
from spaces.families._base import Family


class ViT(Family):
    """``torchvision.models.VisionTransformer`` (https://arxiv.org/abs/2010.11929)."""

    name = "vit"

    def matches(self, network: nn.Module) -> bool:
        return isinstance(network, VisionTransformer)

    def resize(self, network: nn.Module, input_size: tuple[int, int]) -> None:
        """Resample the position embedding bicubically to the grid of patches of ``input_size``."""
        patch = int(network.patch_size)  # type: ignore[arg-type]  # an int by torchvision's constructor
        if input_size[0] % patch or input_size[1] % patch:
            raise ProbeError(
                f"input size {input_size[0]}x{input_size[1]} must be a multiple of the patch, {patch} pixels"
            )
        grid = (input_size[0] // patch, input_size[1] // patch)
        encoder: nn.Module = network.encoder  # type: ignore[assignment]
        old: nn.Parameter = encoder.pos_embedding  # type: ignore[assignment]
        encoder.pos_embedding = nn.Parameter(resample(old.detach(), grid), requires_grad=old.requires_grad)
        network._process_input = MethodType(_patches, network)  # type: ignore[assignment]  # without its check for squares

    def facts(self, network: nn.Module) -> Mapping[str, object]:
        return {"class_token": 0}


def resample(embedding: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return a position embedding ``(1, 1 + h * w, C)`` for another grid of patches: ``(1, 1 + H * W, C)``.

    The class token's own position stays; the others are interpolated bicubically, as ViT's authors do.
    """
    token, places = embedding[:, :1], embedding[:, 1:]
    side = round(places.shape[1] ** 0.5)
    if grid == (side, side):
        return embedding.clone()
    image = places.transpose(1, 2).reshape(1, -1, side, side)
    image = F.interpolate(image, size=grid, mode="bicubic", align_corners=False)
    return torch.cat([token, image.flatten(2).transpose(1, 2)], dim=1)


def _patches(network: VisionTransformer, images: Tensor) -> Tensor:
    """Return patch embeddings ``(N, H * W, C)`` of images of any shape that the patches fill."""
    embedded: Tensor = network.conv_proj(images)
    return embedded.flatten(2).transpose(1, 2)


family = ViT()
