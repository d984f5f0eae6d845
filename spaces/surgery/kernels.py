"""Enlarges kernels of convolutions, which keeps the function, or shrinks them."""

from __future__ import annotations

import copy

from torch import nn
from torch.nn import functional as F

from spaces.errors import SurgeryError
from spaces.surgery.edits import mirror, padding_of, replace_submodule


def resize_kernel(conv: nn.Conv2d, kernel_size: int) -> nn.Conv2d:
    """Return ``conv`` with a square kernel of ``kernel_size``: the old one padded with zeros, or its centre.

    A larger kernel computes the same function (after Net2Net, https://arxiv.org/abs/1511.05641): the weight
    ``(C_out, C_in / groups, k, k)`` becomes ``(C_out, C_in / groups, K, K)``. The output shape stays.

    Args:
        conv: square, odd kernel ``k``, ``padding_mode="zeros"``; left as it is.
        kernel_size: ``K`` in pixels, odd.

    Raises:
        SurgeryError: ``conv`` or ``kernel_size`` is even or not square, or the padding cannot shrink that much.
    """
    reason = why_not_resize(conv, kernel_size)
    if reason:
        raise SurgeryError(reason)
    grow = (kernel_size - conv.kernel_size[0]) // 2
    changed = copy.copy(conv)
    changed._parameters = dict(conv._parameters)
    weight = (
        F.pad(conv.weight.detach(), (grow,) * 4) if grow >= 0 else conv.weight.detach()[..., -grow:grow, -grow:grow]
    )
    changed.weight = nn.Parameter(weight.clone(), requires_grad=conv.weight.requires_grad)
    if conv.bias is not None:
        changed.bias = nn.Parameter(conv.bias.detach().clone(), requires_grad=conv.bias.requires_grad)
    changed.kernel_size = (kernel_size, kernel_size)
    padding = padding_of(conv)
    changed.padding = (padding[0] + grow * conv.dilation[0], padding[1] + grow * conv.dilation[1])
    changed._reversed_padding_repeated_twice = [changed.padding[1]] * 2 + [changed.padding[0]] * 2
    return changed


def why_not_resize(conv: nn.Conv2d, kernel_size: int) -> str:
    """Return why ``resize_kernel`` refuses; empty if it does not."""
    height, width = conv.kernel_size
    if height != width or height % 2 == 0:
        return f"only square, odd kernels can be resized, this one is {height}x{width}"
    if kernel_size % 2 == 0 or kernel_size < 1:
        return f"kernel_size must be odd and at least 1, got {kernel_size}"
    if conv.padding_mode != "zeros":
        return f"only zero padding keeps the function, this convolution has {conv.padding_mode!r}"
    grow = (kernel_size - height) // 2
    if min(side + grow * dilation for side, dilation in zip(padding_of(conv), conv.dilation, strict=True)) < 0:
        return f"a {kernel_size}x{kernel_size} kernel would need negative padding to keep the output's shape"
    return ""


def with_kernels(module: nn.Module, paths: tuple[str, ...], kernel_size: int) -> nn.Module:
    """Return ``module`` with kernels of ``kernel_size`` in the convolutions at ``paths``; other weights are shared."""
    changed = mirror(module)
    for path in paths:
        conv = changed.get_submodule(path)
        if not isinstance(conv, nn.Conv2d):
            raise SurgeryError(f"{path} is a {type(conv).__name__}, expected a Conv2d")
        replace_submodule(changed, path, resize_kernel(conv, kernel_size))
    return changed
