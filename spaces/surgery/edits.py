"""Pure edits of one module: each returns a changed copy that shares whatever it does not change."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.chains.tracing import copied
from spaces.errors import SurgeryError

M = TypeVar("M", bound=nn.Module)
POOLS = (nn.MaxPool2d, nn.AvgPool2d)


def padding_of(conv: nn.Conv2d) -> tuple[int, int]:
    """Return the zeros that ``conv`` puts above and below its input, and to its left and right."""
    if conv.padding == "valid":
        return (0, 0)
    if conv.padding == "same":
        height, width = (
            dilation * (side - 1) // 2 for dilation, side in zip(conv.dilation, conv.kernel_size, strict=True)
        )
        return (height, width)
    return (int(conv.padding[0]), int(conv.padding[1]))


def reducing(module: nn.Module) -> tuple[str, ...]:
    """Return the paths of the layers in ``module`` that make the image smaller: strided convolutions and pools.

    Strides are 2, or even and smaller than the kernel. Patch embeddings (stride and kernel are equal, 4 or more) are
    not reductions that could be switched off.
    """
    return tuple(
        path
        for path, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) and _reduces(layer)
    )


def _reduces(layer: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) -> bool:
    height, width = _pair(layer.stride)
    return height == width and height % 2 == 0 and (height == 2 or _pair(layer.kernel_size)[0] > height)


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def remove_stride(module: nn.Module, paths: Collection[str] | None = None) -> nn.Module:
    """Return ``module`` with the strides of the layers at ``paths`` halved (2 becomes 1); weights stay.

    Main path and shortcut change together, so that they still fit; by default every layer that reduces. A 2x2
    pool becomes the identity: with stride 1 it would shift the image by half a pixel. An even kernel without
    padding becomes an odd one with zeros, so that the image keeps its size.

    Raises:
        SurgeryError: nothing at ``paths`` makes the image smaller.
    """
    layers = reducing(module)
    chosen = layers if paths is None else tuple(path for path in layers if path in paths)
    if not chosen or (paths is not None and len(chosen) < len(paths)):
        raise SurgeryError(f"{type(module).__name__} has no layer of stride 2 to switch off at {paths or 'any place'}")
    changed = mirror(module)
    for path in chosen:
        layer = changed.get_submodule(path)
        stride = _pair(layer.stride)[0] // 2  # type: ignore[arg-type]  # a convolution's or a pool's
        if isinstance(layer, POOLS) and _pair(layer.kernel_size) == (2, 2):
            replace_submodule(changed, path, nn.Identity())
        elif isinstance(layer, nn.Conv2d):
            layer.stride = (stride, stride)
            if stride == 1 and layer.kernel_size[0] % 2 == 0 and padding_of(layer) == (0, 0):
                _centre(layer)
        elif isinstance(layer, POOLS):
            layer.stride = stride
    return changed


def _centre(conv: nn.Conv2d) -> None:
    """Pad an even kernel that begins at its pixel with zeros on the other side, in place, so that it keeps the size."""
    height, width = conv.kernel_size
    weight = F.pad(conv.weight.detach(), (width - 1, 0, height - 1, 0))
    conv.weight = nn.Parameter(weight, requires_grad=conv.weight.requires_grad)
    conv.kernel_size = (2 * height - 1, 2 * width - 1)
    conv.padding = (height - 1, width - 1)
    conv._reversed_padding_repeated_twice = [width - 1] * 2 + [height - 1] * 2


def dilate(module: nn.Module, factors: Mapping[str, int]) -> nn.Module:
    """Return ``module`` with the convolutions at the given paths reaching ``factor`` times as far; weights are shared.

    The output's shape stays. After a stride that was switched off, this keeps the receptive field
    (https://arxiv.org/abs/1606.00915). 1x1 convolutions and those padded by name are left as they are.
    """
    changed = mirror(module)
    for path, factor in factors.items():
        layer = changed.get_submodule(path)
        if isinstance(layer, nn.Conv2d) and max(layer.kernel_size) > 1 and not isinstance(layer.padding, str):
            grown = [factor * dilation for dilation in layer.dilation]
            padding = [
                pad + (new - old) * (side - 1) // 2
                for pad, new, old, side in zip(layer.padding, grown, layer.dilation, layer.kernel_size, strict=True)
            ]
            layer.dilation, layer.padding = (grown[0], grown[1]), (padding[0], padding[1])
            layer._reversed_padding_repeated_twice = [padding[1]] * 2 + [padding[0]] * 2
    return changed


def mirror(module: M, *, own_graph: bool = False) -> M:
    """Return a copy of ``module``'s structure that shares its parameters and buffers.

    A traced module's copy shares its graph too, unless it needs its ``own_graph`` for changes.
    """
    shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return copy.deepcopy(module, shared) if own_graph else copied(module, shared)


def replace_submodule(module: nn.Module, path: str, new: nn.Module) -> None:
    """Put ``new`` at ``path`` inside ``module``, in place."""
    parent, _, name = path.rpartition(".")
    setattr(module.get_submodule(parent), name, new)


def patch_embedding(module: nn.Module) -> str | None:
    """Return the path of the convolution in ``module`` that cuts an image into patches: kernel equal to stride, no
    padding, at least 4 pixels; None if there is none."""
    paths = (path for path, layer in module.named_modules() if isinstance(layer, nn.Conv2d) and _cuts_patches(layer))
    return next(paths, None)


def _cuts_patches(conv: nn.Conv2d) -> bool:
    height, width = conv.kernel_size
    return conv.stride == (height, width) and height == width >= 4 and padding_of(conv) == (0, 0) and conv.groups == 1


def resize_patches(conv: nn.Conv2d, patch: int) -> nn.Conv2d:
    """Return a patch embedding for square patches of ``patch`` pixels that sees resized images as ``conv`` does.

    The kernel ``(C_out, C_in, p, p)`` is resampled by the pseudo-inverse of bilinear image resizing, FlexiViT's
    PI-resize (https://arxiv.org/abs/2212.08013): patches scaled from ``p`` to a larger ``patch`` give the same tokens.
    """
    old = conv.kernel_size[0]
    changed = nn.Conv2d(
        conv.in_channels, conv.out_channels, patch, stride=patch, bias=conv.bias is not None, device="meta"
    )
    weight = conv.weight.detach()
    if weight.is_meta:
        resized = weight.new_empty((*weight.shape[:2], patch, patch))
    else:
        basis = torch.eye(old * old, dtype=torch.float64).reshape(old * old, 1, old, old)
        resize = F.interpolate(basis, size=(patch, patch), mode="bilinear", antialias=True, align_corners=False)
        inverse = torch.linalg.pinv(resize.reshape(old * old, patch * patch))  # (P P, p p)
        flat = weight.to(torch.float64).reshape(*weight.shape[:2], old * old)
        resized = (flat @ inverse.T.to(weight.device)).reshape(*weight.shape[:2], patch, patch).to(weight.dtype)
    changed.weight = nn.Parameter(resized.contiguous(), requires_grad=conv.weight.requires_grad)
    if conv.bias is not None:
        changed.bias = nn.Parameter(conv.bias.detach().clone(), requires_grad=conv.bias.requires_grad)
    return changed.train(conv.training)


def strongest(linear: nn.Linear, count: int) -> Tensor:
    """Return the indices of the ``count`` neurons of ``linear`` with the largest weights (L2 norm), in order."""
    norms: Tensor = linear.weight.detach().float().norm(dim=1)
    if norms.is_meta:
        return torch.arange(count)
    kept: Tensor = norms.topk(count).indices.sort().values
    return kept


def narrow_outputs(linear: nn.Linear, kept: Tensor) -> nn.Linear:
    """Return ``linear`` with only the output neurons ``kept``."""
    return _linear(linear, linear.weight.detach()[kept], None if linear.bias is None else linear.bias.detach()[kept])


def narrow_inputs(linear: nn.Linear, kept: Tensor) -> nn.Linear:
    """Return ``linear`` with only the inputs ``kept``."""
    return _linear(linear, linear.weight.detach()[:, kept], None if linear.bias is None else linear.bias.detach())


def _linear(old: nn.Linear, weight: Tensor, bias: Tensor | None) -> nn.Linear:
    changed = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    changed.weight = nn.Parameter(weight.clone(), requires_grad=old.weight.requires_grad)
    if bias is not None:
        changed.bias = nn.Parameter(bias.clone(), requires_grad=old.weight.requires_grad)
    return changed.train(old.training)
