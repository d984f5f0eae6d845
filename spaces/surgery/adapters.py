"""What is put into a pretrained network so that it starts as the pretrained function: blocks and low-rank updates.

A block or an update ends in weights that are zero, so that at first it adds nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from spaces.errors import SurgeryError
from spaces.surgery.edits import mirror

BLOCKS = ("adapter", "conv")


class Adapter(nn.Module):
    """``x + up(gelu(down(x)))`` over the channels: a bottleneck adapter (https://arxiv.org/abs/1902.00751).

    Takes maps ``(N, C, H, W)``, or anything with the channels last: ``(N, T, C)``, ``(N, H, W, C)``, ``(N, C)``.

    Args:
        channels: ``C``; what follows behind them (a padding mask) passes unchanged.
        width: channels of the bottleneck.
        is_map: whether channels are the second dimension.
    """

    def __init__(self, channels: int, width: int, *, is_map: bool) -> None:
        super().__init__()
        self.channels = channels
        self.is_map = is_map
        self.down: nn.Module = nn.Conv2d(channels, width, 1) if is_map else nn.Linear(channels, width)
        self.up: nn.Module = nn.Conv2d(width, channels, 1) if is_map else nn.Linear(width, channels)

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.up(F.gelu(self.down(x if self.is_map else x[..., : self.channels])))
        return x + (added if self.is_map else F.pad(added, (0, x.shape[-1] - self.channels)))


class ConvBlock(nn.Module):
    """``x + up(relu(conv3x3(x)))``: a residual convolution that also sees the neighbours, ``(N, C, H, W)``."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, padding=1)
        self.up = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.up(F.relu(self.conv(x)))
        return x + added


class LowRank(nn.Module):
    """Adds ``scale * up @ down`` to a weight ``(out, ...)`` that does not learn itself (https://arxiv.org/abs/2106.09685).

    A parametrisation: whoever reads the weight gets the sum, attention's functional calls too.

    Args:
        shape: of the weight; all but its first dimension are taken as one.
        rank: columns of ``up`` ``(out, rank)`` and rows of ``down`` ``(rank, in)``.
    """

    def __init__(self, shape: Sequence[int], rank: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.down = nn.Parameter(torch.empty(rank, math.prod(shape[1:])))
        self.up = nn.Parameter(torch.zeros(shape[0], rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.scale * (self.up @ self.down)).view(weight.shape)


def block(kind: str, channels: int, width: int, *, is_map: bool) -> nn.Module:
    """Return a block of ``kind`` (``adapter``, ``conv``) whose last layer is zero.

    Raises:
        SurgeryError: a convolution asked for where there are no maps.
    """
    if kind == "conv" and not is_map:
        raise SurgeryError("a convolution block needs feature maps (C, H, W); use an adapter behind tokens or vectors")
    made = ConvBlock(channels, width) if kind == "conv" else Adapter(channels, width, is_map=is_map)
    last = made.up
    nn.init.zeros_(last.weight)  # type: ignore[arg-type]  # a Linear's or a Conv2d's
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return made


def append(module: nn.Module, name: str, added: nn.Module) -> fx.GraphModule:
    """Return ``module`` followed by ``added``, which is called ``name`` in it; the weights are shared.

    Raises:
        SurgeryError: ``module`` is no unit of a chain.
    """
    if not isinstance(module, fx.GraphModule):
        raise SurgeryError(f"only units of a chain can be extended, got {type(module).__name__}")
    changed = mirror(module)
    changed.add_module(name, added)
    (output,) = [node for node in changed.graph.nodes if node.op == "output"]
    with changed.graph.inserting_before(output):
        output.args = (changed.graph.call_module(name, (output.args[0],)),)
    changed.recompile()
    return changed


def low_rank_targets(module: nn.Module, rank: int) -> tuple[tuple[str, str], ...]:
    """Return the weights that a low-rank update of ``rank`` makes smaller: path of the layer, name of its weight.

    Linear layers, GPT-2's among them, ungrouped 1x1 convolutions, and the joint input projection of
    ``nn.MultiheadAttention``.
    """
    targets: list[tuple[str, str]] = []
    for path, layer in module.named_modules():
        pointwise = isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.groups == 1
        # GPT-2 calls a linear layer with its weight the other way round so.
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
    """Return outputs and inputs of a weight taken as a matrix."""
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


def draw(weight: Tensor, seed: str) -> None:
    """Fill ``weight`` in place as PyTorch's linear layers are, from numbers that depend on ``seed`` alone."""
    if weight.is_meta:
        return
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:7])
    generator = torch.Generator().manual_seed(number)
    bound = 1 / math.sqrt(math.prod(weight.shape[1:]))
    with torch.no_grad():
        weight.copy_((2 * torch.rand(weight.shape, generator=generator) - 1) * bound)


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
