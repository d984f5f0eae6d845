"""Chains of Hugging Face networks, which ``torch.fx`` cannot trace: their units are listed.

The units of a text encoder pass on one tensor, ``(N, T, C + 1)``: the hidden states ``(N, T, C)`` and, as the last
channel, which tokens are real (1) and which are padding (0). So every unit can be run, cached and dropped on its own,
and padding stays out of attention and pooling however deep the chain is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from operator import getitem
from typing import Any

import torch
from torch import Tensor, fx, nn

from spaces.chains.chain import Chain, Unit
from spaces.errors import ChainError, WeightsError

IDS = torch.int64
NO_PADDING = -1
"""Marks padding in the input of networks that have no token for it."""
SILENT = 1e4
"""Taken from the scores of hidden tokens: exp(-1e4) is 0 in every precision, and half precision can hold it."""
_OUTSIDE = ("position_ids", "token_type_ids")


def hidden_of(packed: Tensor) -> Tensor:
    """Return the hidden states ``(N, T, C)`` of a tensor passed between units."""
    return packed[..., :-1]


def attention_bias(packed: Tensor) -> Tensor:
    """Return the mask added to attention scores, ``(N, 1, 1, T)``: zero for real tokens, very negative for padding."""
    return ((packed[..., -1] - 1) * SILENT)[:, None, None, :]


def causal_bias(packed: Tensor) -> Tensor:
    """Return a decoder's attention mask, ``(N, 1, T, T)``, added to scores: padding and later tokens are hidden."""
    tokens = packed.shape[1]
    ahead = torch.ones(tokens, tokens, dtype=packed.dtype, device=packed.device).triu(1)
    return attention_bias(packed) - ahead * SILENT


def real_of(packed: Tensor) -> Tensor:
    """Return which tokens are real (1) and which are padding (0), ``(N, T)``."""
    return packed[..., -1]


def places_of(tokens: Tensor) -> Tensor:
    """Return the position of every token in its text, ``(1, T)``."""
    return torch.arange(tokens.shape[1], device=tokens.device)[None]


def without_padding(ids: Tensor) -> Tensor:
    """Return ``ids`` with some valid token id in place of ``NO_PADDING``, so that the embedding can look it up."""
    return ids.clamp(min=0)


def packed_like(hidden: Tensor, packed: Tensor) -> Tensor:
    """Return ``hidden`` with the mask of ``packed`` as its last channel."""
    return torch.cat([hidden, packed[..., -1:].to(hidden.dtype)], dim=-1)


def pack(hidden: Tensor, ids: Tensor, padding: int) -> Tensor:
    """Return the hidden states of the token ids ``(N, T)`` with their mask as the last channel."""
    return torch.cat([hidden, (ids != padding).to(hidden.dtype)[..., None]], dim=-1)


def are_real(ids: Tensor, padding: int) -> Tensor:
    """Return which of the token ids are no padding (1), as integers."""
    return (ids != padding).long()


def tokens_of(ids: Tensor, vocabulary: int) -> Tensor:
    """Return the token ids in ``ids``, in which ``vocabulary`` was added to those of a second text."""
    return ids % vocabulary


def segments_of(ids: Tensor, vocabulary: int) -> Tensor:
    """Return 0 for tokens of the first text and 1 for those of a second one, as BERT numbers its segments."""
    return ids // vocabulary


Draw = Callable[[fx.Graph, fx.Node], fx.Node]


def unit(network: nn.Module, name: str, draw: Draw, dtype: torch.dtype = torch.float32) -> Unit:
    """Return a unit whose graph ``draw`` builds, from the input node to the output node."""
    graph = fx.Graph()
    graph.output(draw(graph, graph.placeholder("x")))
    module = fx.GraphModule(network, graph, type(network).__name__)
    module.meta["input_dtype"] = dtype
    return Unit(name, module.train(network.training))


def embedding(network: nn.Module, paths: Sequence[str], padding: int) -> Unit:
    """Return the first unit: token ids ``(N, T)`` through the modules at ``paths``, with their mask.

    If the network distinguishes two texts (BERT's token types), the size of the vocabulary is added to the second one's
    ids: one tensor carries both, and a single text stays the same.
    """
    vocabulary = segments(network)
    accepted = signature(type(network.get_submodule(paths[0])).forward).parameters

    def draw(graph: fx.Graph, ids: fx.Node) -> fx.Node:
        tokens = graph.call_function(without_padding, (ids,)) if padding == NO_PADDING else ids
        given: dict[str, Any] = {}
        if vocabulary:
            given["token_type_ids"] = graph.call_function(segments_of, (tokens, vocabulary))
            tokens = graph.call_function(tokens_of, (tokens, vocabulary))
        if "mask" in accepted:
            given["mask"] = graph.call_function(are_real, (ids, padding))
        node = graph.call_module(paths[0], (tokens,), given)
        for path in paths[1:]:
            node = graph.call_module(path, (node,))
        return graph.call_function(pack, (node, ids, padding))

    return unit(network, paths[0], draw, IDS)


def segments(network: nn.Module) -> int:
    """Return the offset of a second text's token ids; 0 where the network does not distinguish the two texts."""
    config: Any = network.config
    return int(config.vocab_size) if getattr(config, "type_vocab_size", 1) > 1 else 0


def layer(network: nn.Module, path: str, name: str = "", bias: Draw | None = None, *, in_tuple: bool = False) -> Unit:
    """Return the encoder layer at ``path`` as a unit; ``bias`` adds an argument computed from the hidden states."""

    def draw(graph: fx.Graph, packed: fx.Node) -> fx.Node:
        hidden = graph.call_function(hidden_of, (packed,))
        arguments = [hidden, graph.call_function(attention_bias, (packed,))]
        if bias is not None:
            arguments.append(bias(graph, hidden))
        node = graph.call_module(path, tuple(arguments))
        if in_tuple:
            node = graph.call_function(getitem, (node, 0))
        return graph.call_function(packed_like, (node, packed))

    return unit(network, name or path, draw)


def text_chain(
    network: nn.Module, units: Sequence[Unit], tokens: int, padding: int, facts: Mapping[str, object] | None = None
) -> Chain:
    """Return the chain of a text network for texts of ``tokens`` tokens; ``padding`` is the id of padding.

    Its layers may be skipped although they are not residual to the end: each one's output is normalised, as is its
    input.
    """
    known: dict[str, object] = {
        "masked": True,
        "class_token": 0,
        "padding": padding,
        "segments": segments(network),
        "skippable": frozenset(unit.name for unit in units[1:]),
        **(facts or {}),
    }
    return Chain(tuple(units), None, (1, tokens), facts=known, kind="tokens")


def stripped(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the encoder's part of a checkpoint, without the prefix, heads and poolers of a task's network."""
    prefix = f"{getattr(network, 'base_model_prefix', '')}."
    own = list(network.state_dict())
    if any(name.startswith(prefix) for name in state) and not any(name.startswith(prefix) for name in own):
        state = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    renamed = {name.replace(".gamma", ".weight").replace(".beta", ".bias"): value for name, value in state.items()}
    renamed = {
        name: value
        for name, value in renamed.items()
        if not name.startswith("pooler.") and name.rpartition(".")[2] not in _OUTSIDE
    }
    tops = {name.split(".")[0] for name in own}
    kept = {name: value for name, value in renamed.items() if name.split(".")[0] in tops}
    if not kept:
        raise WeightsError(
            f"the weights hold nothing of a {type(network).__name__}; first key: {next(iter(state), '-')}"
        )
    return kept


def lacks(network: nn.Module, expected: str) -> ChainError:
    """Return the error of a network that does not have what was looked for."""
    return ChainError(f"{type(network).__name__} cannot be cut into its layers: looked for {expected}")


def comes_from(network: nn.Module, *kinds: str) -> bool:
    """Return whether ``network`` is one of ``kinds`` of ``transformers``, without importing that package."""
    return any(
        owner.__name__ in kinds and owner.__module__.startswith("transformers.models.")
        for owner in type(network).__mro__
    )
