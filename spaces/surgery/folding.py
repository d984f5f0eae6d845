"""Folds batch norms into the preceding layer: fewer steps at inference, the same function up to rounding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from spaces.chains.tracing import trace_layers
from spaces.errors import ChainError

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_PADDED = "Conv2dSame"
"""timm's convolution with TensorFlow's padding, whose weights are those of a ``Conv2d``."""


def fold_batch_norms(module: nn.Module) -> int:
    """Fold every batch norm directly after a convolution or linear layer into that layer, in place; return how many.

    ``W' = W * gamma / sqrt(var + eps)``, ``b' = (b - mean) * gamma / sqrt(var + eps) + beta``: what the pair computes
    in eval mode. An identity takes the batch norm's place, or its activation if it has one built in. Layers used twice
    or read by something else, and blocks that ``torch.fx`` cannot trace, are left alone. The module is in eval mode
    afterwards.
    """
    try:
        graph = trace_layers(module, lambda layer: isinstance(layer, _BATCH_NORMS))
    except ChainError:  # the order of its layers is not known
        return 0
    pairs = list(_pairs(graph, module))
    for layer_path, norm_path in pairs:
        layer, norm = module.get_submodule(layer_path), module.get_submodule(norm_path)
        fuse = fuse_linear_bn_eval if isinstance(layer, nn.Linear) else fuse_conv_bn_eval
        _put(module, layer_path, fuse(layer.eval(), norm.eval()))  # type: ignore[type-var, arg-type]  # distinguished above
        _put(module, norm_path, _behind(norm))
    return len(pairs)


def _pairs(graph: fx.Graph, module: nn.Module) -> Iterator[tuple[str, str]]:
    calls = Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(node.args[0] if node.args else None, fx.Node):
            continue
        before = node.args[0]
        if before.op != "call_module" or len(before.users) > 1:
            continue
        paths = str(before.target), str(node.target)
        layer, norm = (module.get_submodule(path) for path in paths)
        if all(calls[path] == 1 for path in paths) and _fits(layer, norm):
            yield paths


def _fits(layer: nn.Module, norm: nn.Module) -> bool:
    if not isinstance(norm, _BATCH_NORMS) or norm.running_mean is None:
        return False
    if isinstance(norm, nn.BatchNorm1d):
        return type(layer) is nn.Linear
    return type(layer) is nn.Conv2d or type(layer).__name__ == _PADDED


def _behind(norm: nn.Module) -> nn.Module:
    """Return what remains of a batch norm: timm's has its activation built in."""
    built_in = [getattr(norm, name) for name in ("drop", "act") if isinstance(getattr(norm, name, None), nn.Module)]
    return nn.Sequential(*built_in) if built_in else nn.Identity()


def _put(module: nn.Module, path: str, child: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(module.get_submodule(parent), name, child)
