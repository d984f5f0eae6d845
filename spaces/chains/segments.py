"""Segments of a traced network: the nodes between two neighbouring cut points, and what they hold."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch.nn import functional as F

from spaces.chains.tracing import GATHERING
from spaces.errors import ChainError

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)
_GATHERING_CALLS = {
    *(torch.flatten, torch.mean, torch.squeeze, operator.getitem, F.dropout, F.adaptive_avg_pool2d),
    *("flatten", "mean", "squeeze", "view", "reshape"),
}


@dataclass(slots=True)
class Segment:
    """Nodes between two neighbouring cut points."""

    nodes: list[fx.Node]
    kind: str
    """``state`` (has weights), ``norm`` (only a norm's), ``gather`` (pools, flattens, selects) or ``act``."""


def segments(graph: fx.Graph, network: nn.Module, free: set[fx.Node]) -> list[Segment]:
    """Return a network's segments in order: one ends wherever a single value is still needed.

    ``free`` nodes are constants that any unit may have a copy of.

    Raises:
        ChainError: the network takes several inputs, or returns anything but one tensor.
    """
    nodes = [node for node in graph.nodes if node.op not in ("placeholder", "output") and node not in free]
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    if len(inputs) > 1 and any(node.users for node in inputs[1:]):
        raise ChainError(f"{type(network).__name__} takes {len(inputs)} inputs; a chain takes one")
    (output,) = [node for node in graph.nodes if node.op == "output"]
    if not isinstance(output.args[0], fx.Node):
        raise ChainError(f"{type(network).__name__} returns {output.args[0]!r}; a chain returns one tensor")
    order = {node: index for index, node in enumerate([*nodes, output])}
    last_use = {
        node: max((order[user] for user in node.users if user in order), default=-1) for node in (*inputs, *nodes)
    }
    segments: list[Segment] = []
    current: list[fx.Node] = []
    live: set[fx.Node] = set(inputs[:1])
    for index, node in enumerate(nodes):
        current.append(node)
        live = {value for value in (*live, node) if last_use[value] > index}
        if live == {node} and node.op != "get_attr":
            segments.append(Segment(current, _kind(current, network)))
            current = []
    if current:
        segments.append(Segment(current, _kind(current, network)))
    return segments


def modules_of(nodes: Sequence[fx.Node], network: nn.Module) -> list[nn.Module]:
    """Return the modules that nodes of a graph call."""
    return [network.get_submodule(str(node.target)) for node in nodes if node.op == "call_module"]


def _kind(nodes: Sequence[fx.Node], network: nn.Module) -> str:
    modules = modules_of(nodes, network)
    stateful = [
        module for module in modules if any(True for _ in module.parameters()) or any(True for _ in module.buffers())
    ]
    if any(is_norm_layer(module) for module in modules) and len(stateful) <= 1 and len(nodes) == 1:
        return "norm"
    if stateful:
        return "state"
    if any(node.op == "get_attr" for node in nodes):
        return "act"  # a class token, a position embedding, a layer scale: belongs to what it is added to
    if any(isinstance(module, GATHERING) or _is_pool(module) for module in modules):
        return "gather"
    return "gather" if any(node.target in _GATHERING_CALLS for node in nodes) else "act"


def is_norm_layer(module: nn.Module) -> bool:
    """Return whether ``module`` is one normalisation layer, of PyTorch or of a library's own."""
    named = "Norm" in type(module).__name__ and not any(True for _ in module.children())
    return isinstance(module, _NORMS) or named


def _is_pool(module: nn.Module) -> bool:
    """Return whether a library's module pools a whole map, judged by its name (timm has several)."""
    name = type(module).__name__
    return "Pool" in name and ("Adaptive" in name or "Global" in name)
