"""Chains of Hugging Face networks, which ``torch.fx`` cannot trace: their units are listed.

Between the units of a text encoder one tensor travels, ``(N, T, C + 1)``: the hidden states ``(N, T, C)`` and, as
last channel, which tokens are real (1) and which are padding (0). So every unit can be run, cached and dropped
on its own, and padding stays out of attention and pooling however deep the chain is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import getitem

import torch
from torch import Tensor, fx, nn

from spaces.chain import Chain, Unit
from spaces.errors import WeightsError

IDS = torch.int64
_SILENT = 1e4  # exp(-1e4) is 0 in every precision, and half precision can hold it
_OUTSIDE = ("position_ids", "token_type_ids")


def hidden_of(packed: Tensor) -> Tensor:
    """Return the hidden states ``(N, T, C)`` of what travels between units."""
    return packed[..., :-1]


def attention_bias(packed: Tensor) -> Tensor:
    """Return what is added to attention scores, ``(N, 1, 1, T)``: nothing for real tokens, much below for padding."""
    return ((packed[..., -1] - 1) * _SILENT)[:, None, None, :]


def packed_like(hidden: Tensor, packed: Tensor) -> Tensor:
    """Return ``hidden`` with the mask that ``packed`` carries as its last channel."""
    return torch.cat([hidden, packed[..., -1:].to(hidden.dtype)], dim=-1)


def pack(hidden: Tensor, ids: Tensor, padding: int) -> Tensor:
    """Return the hidden states of the token numbers ``ids`` ``(N, T)`` with their mask as last channel."""
    return torch.cat([hidden, (ids != padding).to(hidden.dtype)[..., None]], dim=-1)


Draw = Callable[[fx.Graph, fx.Node], fx.Node]


def unit(network: nn.Module, name: str, draw: Draw, dtype: torch.dtype = torch.float32) -> Unit:
    """Return a unit whose graph ``draw`` adds to: from the node of the input to the node of the output."""
    graph = fx.Graph()
    graph.output(draw(graph, graph.placeholder("x")))
    module = fx.GraphModule(network, graph, type(network).__name__)
    module.meta["input_dtype"] = dtype
    return Unit(name, module.train(network.training))


def embedding(network: nn.Module, paths: Sequence[str], padding: int) -> Unit:
    """Return the first unit: token numbers ``(N, T)`` through the modules at ``paths``, with their mask."""

    def draw(graph: fx.Graph, ids: fx.Node) -> fx.Node:
        node = ids
        for path in paths:
            node = graph.call_module(path, (node,))
        return graph.call_function(pack, (node, ids, padding))

    return unit(network, paths[0], draw, IDS)


def layer(network: nn.Module, path: str, name: str = "", bias: Draw | None = None, *, in_tuple: bool = False) -> Unit:
    """Return the encoder layer at ``path`` as a unit; ``bias`` draws one more argument from the hidden states."""

    def draw(graph: fx.Graph, packed: fx.Node) -> fx.Node:
        hidden = graph.call_function(hidden_of, (packed,))
        arguments = [hidden, graph.call_function(attention_bias, (packed,))]
        if bias is not None:
            arguments.append(bias(graph, hidden))
        found = graph.call_module(path, tuple(arguments))
        if in_tuple:
            found = graph.call_function(getitem, (found, 0))
        return graph.call_function(packed_like, (found, packed))

    return unit(network, name or path, draw)


def text_chain(units: Sequence[Unit], tokens: int, facts: Mapping[str, object] | None = None) -> Chain:
    """Return the chain of a text encoder for texts of ``tokens`` tokens.

    Its layers may be skipped though they are not residual to the end: each one's output is normalised, and so is
    its input.
    """
    known: dict[str, object] = {
        "masked": True,
        "class_token": 0,
        "skippable": frozenset(found.name for found in units[1:]),
        **(facts or {}),
    }
    return Chain(tuple(units), None, (1, tokens), facts=known, kind="tokens")


def stripped(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the encoder's own part of a checkpoint: without the prefix, heads and poolers of a task's network."""
    prefix = f"{getattr(network, 'base_model_prefix', '')}."
    if any(name.startswith(prefix) for name in state):
        state = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    renamed = {name.replace(".gamma", ".weight").replace(".beta", ".bias"): value for name, value in state.items()}
    found = {
        name: value
        for name, value in renamed.items()
        if not name.startswith("pooler.") and name.rpartition(".")[2] not in _OUTSIDE
    }
    own = {name.split(".")[0] for name in network.state_dict()}
    kept = {name: value for name, value in found.items() if name.split(".")[0] in own}
    if not kept:
        raise WeightsError(
            f"the weights hold nothing of a {type(network).__name__}; first key: {next(iter(state), '-')}"
        )
    return kept


def comes_from(network: nn.Module, *kinds: str) -> bool:
    """Return whether ``network`` is one of ``kinds`` of the ``transformers`` package, which is not imported for it."""
    return any(
        owner.__name__ in kinds and owner.__module__.startswith("transformers.models.")
        for owner in type(network).__mro__
    )
