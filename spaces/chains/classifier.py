"""Finds a network's own classifier, before which its units end."""

from __future__ import annotations

from collections.abc import Sequence

from torch import fx, nn

from spaces.chains.segments import Segment, is_norm_layer, modules_of
from spaces.errors import ChainError


def split_classifier(parts: list[Segment], network: nn.Module) -> tuple[list[Segment], list[fx.Node]]:
    """Separate the final classifier, with the pooling before it and everything after it, from the rest.

    Without one, only the final pooling is separated, so that features keep their map or tokens.
    """
    last = max((index for index, segment in enumerate(parts) if segment.kind == "state"), default=-1)
    behind = parts[last + 1 :]
    if last <= 0:
        return parts, []
    if not _is_classifier(modules_of(parts[last].nodes, network), _classes_of(network)) or (
        # A convolution with its norm is a unit like the others.
        any(segment.kind == "norm" for segment in behind)
    ):
        start = next((last + 1 + index for index, segment in enumerate(behind) if segment.kind == "gather"), 0)
        weighted = any(segment.kind == "norm" for segment in parts[start:])
        return _parted(parts, start) if start and not weighted else (parts, [])
    start = last
    while start > 0 and parts[start - 1].kind != "state":
        start -= 1
    gathers = [index for index in range(start, last) if parts[index].kind == "gather" or _permutes(parts[index])]
    return _parted(parts, gathers[0] if gathers else last)


def _parted(parts: list[Segment], start: int) -> tuple[list[Segment], list[fx.Node]]:
    return parts[:start], [node for segment in parts[start:] for node in segment.nodes]


def _is_classifier(modules: Sequence[nn.Module], classes: int | None) -> bool:
    """Return whether these are one linear layer or 1x1 convolution, or several linear layers side by side.

    Distilled networks have two classifiers with averaged outputs, each perhaps after its own norm. Consecutive linear
    layers, a perceptron, are a classifier if the last one outputs the network's ``classes``.
    """
    if len(modules) == 1 and isinstance(modules[0], nn.Conv2d):
        return modules[0].kernel_size == (1, 1)
    layers = [layer for module in modules for layer in module.modules() if _has_own_weights(layer)]
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    if not linear or not all(is_norm_layer(layer) for layer in layers if layer not in linear):
        return False
    sizes = {(layer.in_features, layer.out_features) for layer in linear}
    if len(modules) == len(layers) == 1 or linear[-1].out_features == classes:
        return True
    return len(sizes) == 1 and all(width != given for width, given in sizes)


def _has_own_weights(module: nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))


def _classes_of(network: nn.Module) -> int | None:
    """Return a network's declared number of classes; None if it declares none."""
    classes = getattr(network, "num_classes", None)
    return classes if isinstance(classes, int) and classes > 1 else None


def check_headless(unit: nn.Module, network: nn.Module) -> None:
    """Refuse a network whose classifier is inside its last unit: a new head would learn from its logits.

    Raises:
        ChainError: the last unit has a linear layer with one output per class.
    """
    classes = _classes_of(network)
    if any(isinstance(layer, nn.Linear) and layer.out_features == classes for layer in unit.modules()):
        raise ChainError(
            f"{type(network).__name__} cannot be cut in front of its classifier of {classes} classes, which takes its "
            "input from several places; choose another backbone"
        )


def _permutes(segment: Segment) -> bool:
    """Return whether the segment only permutes ``(N, H, W, C)`` to ``(N, C, H, W)``, which pooling needs."""
    return all("permute" in node.name.lower() for node in segment.nodes)
