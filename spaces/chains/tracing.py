"""Traces networks into dataflow graphs; keeps modules whole where a graph would be wrong in training mode."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from inspect import Parameter, signature
from types import CodeType
from typing import Any, TypeVar

import torch
from torch import fx, nn
from torch.nn import functional as F

from spaces.errors import ChainError, first_line

M = TypeVar("M", bound=nn.Module)
OF_A_GRAPH = frozenset({"_graph", "_code", "_lineno_map", "_prologue_start", "_tracer_cls", "_tracer_extras"})
"""Attributes of a traced module that follow from its graph."""
GATHERING = (
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.AdaptiveAvgPool1d,
    nn.Flatten,
    nn.modules.dropout._DropoutNd,
)
_DROPOUTS: dict[Any, type[nn.Module]] = {
    F.dropout: nn.Dropout,
    torch.dropout: nn.Dropout,
    F.dropout1d: nn.Dropout1d,
    F.dropout2d: nn.Dropout2d,
    F.dropout3d: nn.Dropout3d,
    F.alpha_dropout: nn.AlphaDropout,
    F.feature_alpha_dropout: nn.FeatureAlphaDropout,
}
_PURE = {
    getattr,
    *(vars(operator)[name] for name in ("getitem", "eq", "ne", "lt", "le", "gt", "ge", "mod", "and_", "or_")),
}


# Order and layout may change on the way, as long as the output has the input's shape.
_PASSING = {
    *(F.relu, F.relu_, F.silu, F.gelu, F.dropout, torch.flatten, torch.reshape, torch.permute, torch.transpose),
    *("contiguous", "relu", "relu_", "reshape", "view", "flatten", "permute", "transpose", "movedim"),
}
_CHECKS = ("_assert", "_assert_is_none")


@dataclass(frozen=True, slots=True)
class Opaque:
    """Module types and functions that, according to their library, must not be traced into."""

    modules: tuple[type[nn.Module], ...] = ()
    functions: tuple[Callable[..., Any], ...] = ()


class _Patient(fx.Tracer):
    """Records which module could not be traced, so that it is left whole next time."""

    def __init__(self, opaque: Opaque) -> None:
        super().__init__(autowrap_functions=opaque.functions)
        self._opaque = opaque.modules
        self.failed: nn.Module | None = None
        """The innermost module that could not be traced."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, self._opaque) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception:
            self.failed = self.failed or m
            raise


class _Tracer(_Patient):
    """Keeps as single nodes: layers, the children of every ``nn.Sequential``, and what asks for ``training``.

    A network is traced in eval mode; a module whose code looks at ``self.training`` (dropout, stochastic depth,
    attention with dropout) would lose its training half if it were traced into. A child of an ``nn.Sequential`` that
    holds blocks itself, a stage, is traced into.
    """

    def __init__(self, root: nn.Module, opaque: Opaque) -> None:
        super().__init__(opaque)
        self._children = {
            id(child)
            for module in root.modules()
            if isinstance(module, nn.Sequential)
            for child in module.children()
            if not _is_stage(child)
        }

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        kind: Any = type(m)
        if isinstance(m, nn.Sequential) and kind.forward is nn.Sequential.forward:
            return False
        if id(m) in self._children or super().is_leaf_module(m, module_qualified_name):
            return True
        return kind.__module__.startswith("torch.nn") or not any(True for _ in m.children()) or reads_training(kind)


def _is_stage(module: nn.Module) -> bool:
    """Return whether a module holds two blocks or more, each of three layers or more with weights."""
    return any(
        len(held) > 1 and min(map(_weighted, held.children())) > 2
        for held in module.children()
        if isinstance(held, nn.Sequential | nn.ModuleList)
    )


def _weighted(block: nn.Module) -> int:
    return sum(any(True for _ in layer.parameters(recurse=False)) for layer in block.modules())


def trace(network: nn.Module, opaque: Opaque | None = None) -> tuple[fx.Graph, nn.Module]:
    """Return the graph of ``network`` in eval mode, and the module its nodes refer to.

    That module is ``network`` or, if the network applies dropout by a function call, a twin that shares all its weights
    and has a layer in place of the call. Checks of a shape (``torch._assert``) are left out: a unit may
    be run at another size.

    Raises:
        ChainError: ``torch.fx`` cannot trace the network.
    """
    mode = network.training
    network.eval()
    try:
        graph = _traced(network, opaque or Opaque(), _Tracer)
    finally:
        network.train(mode)
    _leave_checks_out(graph)
    return graph, _with_dropout_layers(graph, network)


def _traced(network: nn.Module, opaque: Opaque, tracer: Callable[[nn.Module, Opaque], _Patient]) -> fx.Graph:
    """Return the graph of ``network``; modules that cannot be traced stay whole, the innermost first."""
    while True:
        current = tracer(network, opaque)
        try:
            return current.trace(network, _defaults(network))
        except Exception as error:  # tracing runs the network's own code, which may fail in any way
            if current.failed is None or type(current.failed) in opaque.modules:
                reason = first_line(error)
                name = type(network).__name__
                message = f"{name} cannot be traced by torch.fx ({reason}); it needs a file in spaces/families"
                raise ChainError(message) from error
            opaque = Opaque((*opaque.modules, type(current.failed)), opaque.functions)


def _defaults(network: nn.Module) -> dict[str, Any]:
    """Return the optional arguments of ``forward``, masks and switches, with their defaults."""
    arguments = signature(network.forward).parameters.values()
    given = [argument for argument in arguments if argument.default is not Parameter.empty]
    return {argument.name: argument.default for argument in given}


@cache
def reads_training(kind: Any) -> bool:
    """Return whether ``forward`` of the class ``kind``, or a method that it calls, reads ``training``."""
    if kind.forward.__module__.startswith("torch.nn"):
        return False
    waiting, known = [kind.forward], set()
    while waiting:
        code = getattr(waiting.pop(), "__code__", None)
        for name in {name for part in _nested(code) for name in part.co_names} if code else ():
            if name == "training":
                return True
            if name not in known and callable(method := getattr(kind, name, None)):
                known.add(name)
                waiting.append(method)
    return False


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _leave_checks_out(graph: fx.Graph) -> None:
    for node in [call for call in graph.nodes if getattr(call.target, "__name__", "") in _CHECKS]:
        feeding = list(node.all_input_nodes)
        graph.erase_node(node)
        while feeding:
            spent = feeding.pop()
            if not spent.users and (spent.target in _PURE or (spent.op == "call_method" and spent.target == "size")):
                feeding += spent.all_input_nodes
                graph.erase_node(spent)


def _with_dropout_layers(graph: fx.Graph, network: nn.Module) -> nn.Module:
    """Turn dropout by function call, which tracing fixed to eval mode, into layers, which follow the mode."""
    calls = [node for node in graph.nodes if node.op == "call_function" and node.target in _DROPOUTS]
    twin = network
    for index, node in enumerate(calls):
        if twin is network:
            twin = copy.copy(network)
            twin._modules = dict(network._modules)
        path = f"dropout_call_{index}"
        share = float(node.args[1] if len(node.args) > 1 else node.kwargs.get("p", 0.5))
        twin._modules[path] = _DROPOUTS[node.target](share).train(network.training)
        node.op, node.target, node.args, node.kwargs = "call_module", path, node.args[:1] or (node.kwargs["input"],), {}
    return twin


def submodule(nodes: Sequence[fx.Node], root: nn.Module) -> fx.GraphModule:
    """Return neighbouring nodes of a graph as a module whose weights keep the names they have in ``root``."""
    graph = fx.Graph()
    inside = set(nodes)
    outer = {value for node in nodes for value in node.all_input_nodes if value not in inside}
    placeholder = graph.placeholder("x")
    copies: dict[fx.Node, fx.Node] = dict.fromkeys(outer, placeholder)
    for node in nodes:
        copies[node] = graph.node_copy(node, lambda value: copies[value])
    graph.output(copies[nodes[-1]])
    module = fx.GraphModule(root, graph, type(root).__name__)
    for node in nodes:
        if node.op == "get_attr":
            _keep_out_of_state(str(node.target), root, module)
    module.train(root.training)
    return module


def copied(module: M, memo: dict[int, Any]) -> M:
    """Return a deep copy of ``module``; ``memo`` is that of ``copy.deepcopy``, so what it holds is shared.

    A traced module's copy has its class and its graph: ``torch.fx`` would compile them again for every copy, and each
    class that it adds makes all later traces slower, since they patch ``nn.Module`` with all of its subclasses.
    """
    if not isinstance(module, fx.GraphModule) or id(module) in memo:
        return copy.deepcopy(module, memo)
    twin = object.__new__(type(module))
    memo[id(module)] = twin
    for name, value in vars(module).items():
        vars(twin)[name] = value if name in OF_A_GRAPH else copy.deepcopy(value, memo)
    return twin


def _keep_out_of_state(key: str, root: nn.Module, module: nn.Module) -> None:
    """Keep out of the unit's state what the network does not save (some buffers, constants), which fx forgets."""
    owner, _, name = key.rpartition(".")
    inside = root.get_submodule(owner)
    if name not in inside._parameters and (name not in inside._buffers or name in inside._non_persistent_buffers_set):
        module.get_submodule(owner)._non_persistent_buffers_set.add(name)


def is_residual(module: nn.Module) -> bool:
    """Return whether the input reaches the output through additions and weightless steps alone.

    Such a block computes ``x + f(x)`` (perhaps with an activation behind), so leaving it out keeps what the
    others have learnt nearly as it was.
    """
    try:
        graph = _traced(module, Opaque(), _WeightlessTracer)
    except ChainError:  # a block that cannot be traced is not known to be residual
        return False
    reached: set[fx.Node] = set()
    added = False
    for node in graph.nodes:
        if node.op == "placeholder":
            reached.add(node)
        elif node.op == "output":
            return added and node.args[0] in reached
        elif any(value in reached for value in node.all_input_nodes) and _passes(node, module):
            reached.add(node)
            added = added or _adds(node)
    return False


class _LayerTracer(_Patient):
    """Traces into everything that is not a layer."""

    def __init__(self, opaque: Opaque, is_layer: Callable[[nn.Module], bool]) -> None:
        super().__init__(opaque)
        self._is_layer = is_layer

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return super().is_leaf_module(m, module_qualified_name) or self._is_layer(m)


def trace_layers(module: nn.Module, is_layer: Callable[[nn.Module], bool]) -> fx.Graph:
    """Return the graph of ``module`` down to PyTorch's layers and those that ``is_layer`` accepts; sets eval mode.

    Blocks that cannot be traced into stay whole.

    Raises:
        ChainError: ``torch.fx`` cannot trace ``module`` itself.
    """
    return _traced(module.eval(), Opaque(), lambda _, opaque: _LayerTracer(opaque, is_layer))


class _WeightlessTracer(_Patient):
    """Traces into blocks, down to layers and modules without weights."""

    def __init__(self, root: nn.Module, opaque: Opaque) -> None:
        del root
        super().__init__(opaque)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return super().is_leaf_module(m, module_qualified_name) or not any(True for _ in m.parameters())


def _adds(node: fx.Node) -> bool:
    return node.target in (operator.add, operator.iadd, torch.add, "add", "add_")


def _passes(node: fx.Node, root: nn.Module) -> bool:
    if _adds(node):
        return True
    if node.op == "call_module":
        module: Any = root.get_submodule(str(node.target))
        return not any(True for _ in module.parameters()) and not isinstance(module, GATHERING[:4])
    return node.target in _PASSING
