"""Pure edits of one module: each returns a changed copy and leaves what it was given alone."""

from __future__ import annotations

import copy

from torch import nn
from torch.nn import functional as F

from spaces.errors import SurgeryError

POOLS = (nn.MaxPool2d, nn.AvgPool2d)


def resize_kernel(conv: nn.Conv2d, kernel_size: int) -> nn.Conv2d:
    """Return ``conv`` with a square kernel of ``kernel_size``: the old one in zeros, or its centre.

    A larger kernel computes the same function (after Net2Net, https://arxiv.org/abs/1511.05641): the weight
    ``(C_out, C_in / groups, k, k)`` becomes ``(C_out, C_in / groups, K, K)``. The output shape stays.

    Args:
        conv: square, odd kernel ``k``, ``padding_mode="zeros"``; left as it is.
        kernel_size: ``K`` in pixels, odd.

    Raises:
        SurgeryError: ``conv`` or ``kernel_size`` is even or not square, or the padding cannot shrink as much.
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
    padding = _padding(conv)
    changed.padding = (padding[0] + grow * conv.dilation[0], padding[1] + grow * conv.dilation[1])
    changed._reversed_padding_repeated_twice = [changed.padding[1]] * 2 + [changed.padding[0]] * 2
    return changed


def why_not_resize(conv: nn.Conv2d, kernel_size: int) -> str:
    """Return why ``resize_kernel`` refuses; empty when it does not."""
    height, width = conv.kernel_size
    if height != width or height % 2 == 0:
        return f"only square, odd kernels can be resized, this one is {height}x{width}"
    if kernel_size % 2 == 0 or kernel_size < 1:
        return f"kernel_size must be odd and at least 1, got {kernel_size}"
    if conv.padding_mode != "zeros":
        return f"only zero padding keeps the function, this convolution has {conv.padding_mode!r}"
    grow = (kernel_size - height) // 2
    if min(side + grow * dilation for side, dilation in zip(_padding(conv), conv.dilation, strict=True)) < 0:
        return f"a {kernel_size}x{kernel_size} kernel would need negative padding to keep the output's shape"
    return ""


def _padding(conv: nn.Conv2d) -> tuple[int, int]:
    if conv.padding == "valid":
        return (0, 0)
    if conv.padding == "same":
        height, width = (
            dilation * (side - 1) // 2 for dilation, side in zip(conv.dilation, conv.kernel_size, strict=True)
        )
        return (height, width)
    return (int(conv.padding[0]), int(conv.padding[1]))


def reducing(module: nn.Module) -> tuple[str, ...]:
    """Return the paths of the layers in ``module`` that halve the image: strided convolutions and pools.

    Patch embeddings (a stride of 4 and more) are no reduction that could be switched off.
    """
    return tuple(
        path
        for path, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) and _stride(layer) == (2, 2)
    )


def _stride(layer: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) -> tuple[int, int]:
    stride = layer.stride
    return (stride, stride) if isinstance(stride, int) else (int(stride[0]), int(stride[1]))


def remove_stride(module: nn.Module) -> nn.Module:
    """Return a copy of ``module`` whose halving layers have stride 1; weights stay.

    Main path and shortcut change together, so that they still fit. A 2x2 pool becomes the identity: with
    stride 1 it would shift the image by half a pixel.

    Raises:
        SurgeryError: nothing in ``module`` halves the image.
    """
    paths = reducing(module)
    if not paths:
        raise SurgeryError(f"{type(module).__name__} has no layer of stride 2 to switch off")
    changed = copy.deepcopy(module)
    for path in paths:
        layer = changed.get_submodule(path)
        if isinstance(layer, POOLS) and layer.kernel_size in (2, (2, 2)):
            replace_submodule(changed, path, nn.Identity())
        elif isinstance(layer, nn.Conv2d):
            layer.stride = (1, 1)
        elif isinstance(layer, POOLS):
            layer.stride = 1
    return changed


def dilate(module: nn.Module, factor: int = 2) -> nn.Module:
    """Return a copy of ``module`` whose kernels larger than 1 reach ``factor`` times as far, at the same output shape.

    Behind a stride that was switched off this keeps the receptive field (https://arxiv.org/abs/1606.00915).
    """
    changed = copy.deepcopy(module)
    for layer in changed.modules():
        if isinstance(layer, nn.Conv2d) and max(layer.kernel_size) > 1 and not isinstance(layer.padding, str):
            grown = [factor * dilation for dilation in layer.dilation]
            padding = [
                pad + (new - old) * (side - 1) // 2
                for pad, new, old, side in zip(layer.padding, grown, layer.dilation, layer.kernel_size, strict=True)
            ]
            layer.dilation, layer.padding = (grown[0], grown[1]), (padding[0], padding[1])
            layer._reversed_padding_repeated_twice = [padding[1]] * 2 + [padding[0]] * 2
    return changed


def replace_submodule(module: nn.Module, path: str, new: nn.Module) -> None:
    """Put ``new`` at ``path`` inside ``module``, in place."""
    parent, _, name = path.rpartition(".")
    setattr(module.get_submodule(parent), name, new)


def with_kernels(module: nn.Module, paths: tuple[str, ...], kernel_size: int) -> nn.Module:
    """Return a copy of ``module`` in which the convolutions at ``paths`` have kernels of ``kernel_size``."""
    changed = copy.deepcopy(module)
    for path in paths:
        conv = changed.get_submodule(path)
        if not isinstance(conv, nn.Conv2d):
            raise SurgeryError(f"{path} is a {type(conv).__name__}, expected a Conv2d")
        replace_submodule(changed, path, resize_kernel(conv, kernel_size))
    return changed
