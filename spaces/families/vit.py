"""Vision transformers of torchvision: class token and position embedding, resampled for another image size."""

from __future__ import annotations

from collections.abc import Mapping
from types import MethodType
from typing import Any

from torch import Tensor, nn
from torchvision.models import VisionTransformer

from spaces.errors import ProbeError
from spaces.families._base import Family, Positions, embedding_grid, resample_positions

_KEY = "encoder.pos_embedding"


class ViT(Family):
    """``torchvision.models.VisionTransformer`` (https://arxiv.org/abs/2010.11929)."""

    name = "vit"

    def matches(self, network: nn.Module) -> bool:
        return isinstance(network, VisionTransformer)

    def resize(self, network: nn.Module, input_size: tuple[int, int]) -> None:
        """Resample the position embedding to the grid of patches of ``input_size``."""
        vit: Any = network
        patch: int = vit.patch_size
        if input_size[0] % patch or input_size[1] % patch:
            raise ProbeError(
                f"input size {input_size[0]}x{input_size[1]} must be a multiple of the patch, {patch} pixels"
            )
        grid = (input_size[0] // patch, input_size[1] // patch)
        (positions,) = self.positions(network)
        old: nn.Parameter = vit.encoder.pos_embedding
        resampled = resample_positions(old.detach(), positions.prefix, positions.grid, grid)
        vit.encoder.pos_embedding = nn.Parameter(resampled, requires_grad=old.requires_grad)
        vit.grid = grid
        vit._process_input = MethodType(_patches, network)  # without torchvision's check for squares

    def positions(self, network: nn.Module) -> tuple[Positions, ...]:
        positions = Positions(_KEY, 1)
        grid = getattr(network, "grid", None) or embedding_grid(network.get_parameter(_KEY), positions)
        return (Positions(_KEY, 1, "tokens", grid),)

    def facts(self, network: nn.Module) -> Mapping[str, object]:
        return {**super().facts(network), "class_token": 0}


def _patches(network: VisionTransformer, images: Tensor) -> Tensor:
    """Return patch embeddings ``(N, H * W, C)`` of images of any shape that patches tile."""
    embedded: Tensor = network.conv_proj(images)
    return embedded.flatten(2).transpose(1, 2)


family = ViT()
