"""Vision transformers of Hugging Face: class token and position embedding, resampled for another image size."""

from __future__ import annotations

from collections.abc import Mapping
from operator import add
from typing import Any

import torch
from torch import Tensor, fx, nn

from spaces.chains.chain import Chain
from spaces.errors import ProbeError
from spaces.families import _listed
from spaces.families._base import Family, Positions, resample_positions

_KEY = "embeddings.position_embeddings"


class HuggingFaceViT(Family):
    """``transformers.ViTModel`` (https://arxiv.org/abs/2010.11929)."""

    name = "hf_vit"

    def matches(self, network: nn.Module) -> bool:
        return _listed.comes_from(network, "ViTModel")

    def adapt(self, network: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return super().adapt(network, _listed.stripped(network, state))

    def resize(self, network: nn.Module, input_size: tuple[int, int]) -> None:
        """Resample the position embedding to the grid of patches of ``input_size``."""
        embeddings: Any = network.get_submodule("embeddings")
        patch: tuple[int, int] = embeddings.patch_embeddings.patch_size
        if input_size[0] % patch[0] or input_size[1] % patch[1]:
            size, unit = (f"{rows}x{columns}" for rows, columns in (input_size, patch))
            raise ProbeError(f"input size {size} must be a multiple of the patch, {unit} pixels")
        (positions,) = self.positions(network)
        old: nn.Parameter = embeddings.position_embeddings
        grid = (input_size[0] // patch[0], input_size[1] // patch[1])
        resampled = resample_positions(old.detach(), 1, positions.grid, grid)
        embeddings.position_embeddings = nn.Parameter(resampled, requires_grad=old.requires_grad)
        embeddings.image_size = embeddings.patch_embeddings.image_size = input_size

    def positions(self, network: nn.Module) -> tuple[Positions, ...]:
        patches: Any = network.get_submodule("embeddings.patch_embeddings")
        rows, columns = (
            int(side) // int(patch) for side, patch in zip(patches.image_size, patches.patch_size, strict=True)
        )
        return (Positions(_KEY, 1, "tokens", (rows, columns)),)

    def chain(self, network: nn.Module, input_size: tuple[int, int]) -> Chain:
        count = len(network.get_submodule("layers"))  # type: ignore[arg-type]  # a ModuleList
        paths = [(f"layers.{index}",) for index in range(count)]
        last = (*paths[-1], "layernorm")
        units = [_listed.unit(network, calls[0], _through(*calls)) for calls in (*paths[:-1], last)]
        first = _listed.unit(network, "embeddings", _embed)
        return Chain((first, *units), None, input_size, facts={**super().facts(network), "class_token": 0})


def _through(*paths: str) -> _listed.Draw:
    def draw(graph: fx.Graph, node: fx.Node) -> fx.Node:
        for path in paths:
            node = graph.call_module(path, (node,))
        return node

    return draw


def _embed(graph: fx.Graph, images: fx.Node) -> fx.Node:
    """Draw the embedding step by step: as a whole it would require one image size."""
    patches = graph.call_module("embeddings.patch_embeddings", (images,))
    tokens = graph.call_function(with_class_token, (patches, graph.get_attr("embeddings.cls_token")))
    placed = graph.call_function(add, (tokens, graph.get_attr(_KEY)))
    return graph.call_module("embeddings.dropout", (placed,))


def with_class_token(patches: Tensor, token: Tensor) -> Tensor:
    """Return ``(N, T, C)`` patches, preceded by the class token ``(1, 1, C)`` in each sample."""
    return torch.cat([token.expand(len(patches), -1, -1), patches], dim=1)


family = HuggingFaceViT()
