"""Low-rank updates of frozen weights (LoRA), which start at zero: one of their two factors is zero."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from spaces.surgery.adapters import draw
from spaces.surgery.edits import mirror


class LowRank(nn.Module):
    """Adds ``scale * up @ down`` to a weight ``(out, ...)`` that does not learn itself (https://arxiv.org/abs/2106.09685).

    A parametrisation: reading the weight returns the sum, in attention's functional calls too.

    Args:
        shape: of the weight; all but its first dimension are merged.
        rank: columns of ``up`` ``(out, rank)`` and rows of ``down`` ``(rank, in)``.
    """

    def __init__(self, shape: Sequence[int], rank: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.down = nn.Parameter(torch.empty(rank, math.prod(shape[1:])))
        self.up = nn.Parameter(torch.zeros(shape[0], rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.scale * (self.up @ self.down)).view(weight.shape)


def low_rank_targets(module: nn.Module, rank: int) -> tuple[tuple[str, str], ...]:
    """Return the weights larger than a low-rank update of ``rank``: path of the layer, name of its weight.

    Linear layers, GPT-2's among them, ungrouped 1x1 convolutions, and the joint input projection of
    ``nn.MultiheadAttention``.
    """
    targets: list[tuple[str, str]] = []
    for path, layer in module.named_modules():
        pointwise = isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.groups == 1
        # GPT-2's name for a linear layer with a transposed weight.
        turned = type(layer).__name__ == "Conv1D" and type(layer).__module__.startswith("transformers.")
        if isinstance(layer, nn.Linear) or pointwise or turned:
            targets.append((path, "weight"))
        elif isinstance(layer, nn.MultiheadAttention) and layer.in_proj_weight is not None:
            targets.append((path, "in_proj_weight"))
    return tuple(
        (path, name)
        for path, name in targets
        if rank < min(weight_shape(module, path, name)) and not parametrize.is_parametrized(module.get_submodule(path))
    )


def weight_shape(module: nn.Module, path: str, name: str) -> tuple[int, int]:
    """Return outputs and inputs of a weight seen as a matrix."""
    shape = getattr(module.get_submodule(path), name).shape
    return int(shape[0]), math.prod(shape[1:])


def with_low_rank(
    module: nn.Module, targets: Sequence[tuple[str, str]], rank: int, scale: float, seed: str
) -> tuple[nn.Module, tuple[str, ...]]:
    """Return ``module`` with low-rank updates on ``targets``, and the updates' paths in it; weights are shared."""
    changed = mirror(module)
    paths: list[str] = []
    for path, name in targets:
        layer = changed.get_submodule(path)
        weight: Tensor = getattr(layer, name)
        update = LowRank(weight.shape, rank, scale).to(weight.device)
        draw(update.down, f"{seed}.{path}.{name}")
        parametrize.register_parametrization(layer, name, update)
        paths.append(f"{path}.parametrizations.{name}.0".removeprefix("."))
    return changed, tuple(paths)


def adapted(module: nn.Module) -> list[nn.Parameter]:
    """Return the weights in ``module`` that are trained through low-rank updates and stay fixed themselves."""
    return [
        parameter
        for name, parameter in module.named_parameters()
        if ".parametrizations." in f".{name}" and name.endswith(".original")
    ]


def merged_state(module: nn.Module) -> dict[str, Tensor]:
    """Return ``module``'s state dict with low-rank updates added to the weights, under the key names without them."""
    state = {name: value for name, value in module.state_dict().items() if ".parametrizations." not in f".{name}"}
    for path, layer in module.named_modules():
        if parametrize.is_parametrized(layer):
            for name in _parametrized(layer):
                state[f"{path}.{name}".removeprefix(".")] = getattr(layer, name).detach()
    return state


def _parametrized(layer: nn.Module) -> tuple[str, ...]:
    parametrizations = layer.parametrizations
    return tuple(parametrizations) if isinstance(parametrizations, nn.ModuleDict) else ()
