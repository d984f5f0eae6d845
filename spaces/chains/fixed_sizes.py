"""Graphs for one input size: sizes become numbers, and what depends only on them is computed where it is needed.

Some networks pass the height and width of a map, or an embedding made from them, from block to block (rotary
positions, windows of tokens). Beside the main tensor, these leave no place to cut. For one input size they are
constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from spaces.chains.tracing import reads_training


def fix_sizes(graph: fx.Graph, root: nn.Module, shape: Sequence[int]) -> set[fx.Node]:
    """Replace sizes by numbers, in place; return the nodes that then depend on no input.

    ``shape`` is that of one sample. Sizes that depend on the batch stay: running the graph on fake tensors for two
    batch sizes reveals them.
    """
    first, second = (_values(graph, root, (batch, *shape)) for batch in (2, 3))
    for node in list(graph.nodes):
        value = first.get(node)
        if isinstance(value, int) and not isinstance(value, bool) and value == second.get(node):
            _put(node, value)
    free: set[fx.Node] = set()
    for node in graph.nodes:
        follows_nothing = node.op not in ("placeholder", "output") and free.issuperset(node.all_input_nodes)
        if follows_nothing and not _is_random(node, root):
            free.add(node)
    return free


def _put(node: fx.Node, number: int) -> None:
    """Replace ``node`` by ``number`` wherever it is used."""

    def given(value: fx.Node) -> Any:
        return number if value is node else value

    for user in list(node.users):
        user.args, user.kwargs = fx.map_arg(user.args, given), fx.map_arg(user.kwargs, given)


def _is_random(node: fx.Node, root: nn.Module) -> bool:
    """Return whether the node may draw numbers in training; computed twice, it would give different results."""
    kind: Any = type(root.get_submodule(str(node.target))) if node.op == "call_module" else None
    return kind is not None and reads_training(kind)


class _Recorder(fx.Interpreter):
    """Records the value of every node."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.values: dict[str, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        self.values[n.name] = value = super().run_node(n)
        return value


def _values(graph: fx.Graph, root: nn.Module, shape: tuple[int, ...]) -> dict[fx.Node, Any]:
    first = next(iter((*root.parameters(), *root.buffers())), None)
    is_meta = first is not None and first.is_meta
    mode = root.training
    recorder = _Recorder(fx.GraphModule(root, graph).eval())
    try:
        with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
            recorder.run(torch.empty(shape, device="meta" if is_meta else "cpu"))
    finally:
        root.train(mode)
    return {node: recorder.values[node.name] for node in graph.nodes if node.name in recorder.values}


def with_free(nodes: Sequence[fx.Node], free: set[fx.Node]) -> list[fx.Node]:
    """Return ``nodes``, preceded by the nodes among ``free`` that they need, in order."""
    needed: dict[fx.Node, None] = {}
    waiting = [given for node in nodes for given in node.all_input_nodes if given in free]
    while waiting:
        node = waiting.pop()
        needed[node] = None
        waiting += [given for given in node.all_input_nodes if given not in needed]
    order = {node: index for index, node in enumerate(nodes[0].graph.nodes)}
    return [*sorted(needed, key=order.__getitem__), *nodes]
