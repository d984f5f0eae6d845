"""Blocks inserted after a unit, which start as the identity: their last layer is zero."""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from spaces.errors import SurgeryError
from spaces.surgery.edits import mirror

BLOCKS = ("adapter", "conv")


class Adapter(nn.Module):
    """``x + up(gelu(down(x)))`` over the channels: a bottleneck adapter (https://arxiv.org/abs/1902.00751).

    Takes maps ``(N, C, H, W)``, or anything with the channels last: ``(N, T, C)``, ``(N, H, W, C)``, ``(N, C)``.

    Args:
        channels: ``C``; what follows them (a padding mask) passes unchanged.
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
    """``x + up(relu(conv3x3(x)))``: a residual convolution that also sees neighbours, ``(N, C, H, W)``."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, padding=1)
        self.up = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.up(F.relu(self.conv(x)))
        return x + added


def block(kind: str, channels: int, width: int, *, is_map: bool) -> nn.Module:
    """Return a block of ``kind`` (``adapter``, ``conv``) whose last layer is zero.

    Raises:
        SurgeryError: a convolution is requested where there are no maps.
    """
    if kind == "conv" and not is_map:
        raise SurgeryError("a convolution block needs feature maps (C, H, W); use an adapter after tokens or vectors")
    made = ConvBlock(channels, width) if kind == "conv" else Adapter(channels, width, is_map=is_map)
    last = made.up
    nn.init.zeros_(last.weight)  # type: ignore[arg-type]  # a Linear's or a Conv2d's
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return made


def append(module: nn.Module, name: str, added: nn.Module) -> fx.GraphModule:
    """Return ``module`` followed by ``added``, which is called ``name`` in it; the weights are shared.

    Raises:
        SurgeryError: ``module`` is not a unit of a chain.
    """
    if not isinstance(module, fx.GraphModule):
        raise SurgeryError(f"only units of a chain can be extended, got {type(module).__name__}")
    changed = mirror(module, own_graph=True)
    changed.add_module(name, added)
    (output,) = [node for node in changed.graph.nodes if node.op == "output"]
    with changed.graph.inserting_before(output):
        output.args = (changed.graph.call_module(name, (output.args[0],)),)
    changed.recompile()
    return changed


def draw(weight: Tensor, seed: str) -> None:
    """Initialise ``weight`` in place like PyTorch's linear layers, with numbers that depend only on ``seed``."""
    if weight.is_meta:
        return
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:7])
    generator = torch.Generator().manual_seed(number)
    bound = 1 / math.sqrt(math.prod(weight.shape[1:]))
    with torch.no_grad():
        weight.copy_((2 * torch.rand(weight.shape, generator=generator) - 1) * bound)
