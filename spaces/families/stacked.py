"""Text networks of Hugging Face, read from their module tree: an embedding, a list of layers, perhaps a final norm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any

import torch
from torch import Tensor, fx, nn

from spaces.chains.chain import Chain
from spaces.chains.segments import is_norm_layer
from spaces.errors import first_line
from spaces.families import _listed
from spaces.families._base import Family
from spaces.families._listed import lacks

_FULL, _SLIDING = "full_attention", "sliding_attention"
_KNOWN = ("hidden_states", "attention_mask", "position_embeddings", "position_ids")
"""Arguments that a layer may require."""
_TRIED = 6
"""Tokens of the texts on which a chain is compared with its network."""


@dataclass(frozen=True, slots=True)
class _Stack:
    """The paths of what a network consists of, in the order in which its forward pass uses it.

    Attributes:
        words: the module that turns token ids into hidden states.
        before: layers between it and the first of ``layers``; ``behind`` those after the last one.
        rotary: the module that makes rotary positions; empty without one.
    """

    words: str
    before: tuple[str, ...]
    layers: tuple[str, ...]
    behind: tuple[str, ...]
    rotary: str


class Stacked(Family):
    """BERT, RoBERTa, DistilBERT, ELECTRA, ModernBERT, Llama, Qwen, Gemma and whatever else has their shape.

    The chain is compared with the network itself on two short texts before it is used.
    """

    name = "stacked"

    def matches(self, network: nn.Module) -> bool:
        config: Any = getattr(network, "config", None)
        return type(network).__module__.startswith("transformers.models.") and hasattr(config, "vocab_size")

    def adapt(self, network: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return _listed.stripped(network, state)

    def chain(self, network: nn.Module, input_size: tuple[int, int]) -> Chain:
        stack, config = _read(network), network.config
        causal = _is_causal(network.get_submodule(stack.layers[0]))
        number = getattr(config, "pad_token_id", None)
        padding = number if isinstance(number, int) and not causal else _listed.NO_PADDING
        units = [_listed.embedding(network, (stack.words, *stack.before), padding)]
        for index, path in enumerate(stack.layers):
            behind = stack.behind if index == len(stack.layers) - 1 else ()
            units.append(_listed.unit(network, path, _layer(network, stack, index, behind)))
        facts: dict[str, object] = {"causal": True, "class_token": None} if causal else {}
        chain = _listed.text_chain(network, units, input_size[1], padding, facts)
        _check_equal(network, chain)
        return chain


def _read(network: nn.Module) -> _Stack:
    """Return what ``network`` consists of.

    Raises:
        ChainError: something that was looked for is missing, or there is more than is known.
    """
    config: Any = network.config
    lists = [
        path
        for path, held in network.named_modules()
        if isinstance(held, nn.ModuleList) and len(held) == config.num_hidden_layers and len({*map(type, held)}) == 1
    ]
    outer = [path for path in lists if not any(path.startswith(f"{other}.") for other in lists)]
    if len(outer) != 1:
        raise lacks(network, f"one list of {config.num_hidden_layers} layers of one type; found {len(outer)}")
    table = _embedding_path(network)
    order = _children(network, outer[0])
    words = next((path for path in order if f"{table}.".startswith(f"{path}.")), "")
    if not words:
        raise lacks(network, "the table of words in a module in front of its layers")
    place = order.index(outer[0])
    rotary = [path for path in order if "Rotary" in type(network.get_submodule(path)).__name__]
    rest = [path for path in order if path not in (words, outer[0], *rotary)]
    known = [path for path in rest if _is_plain(network.get_submodule(path))]
    more = [path for path in rest if path not in known and any(True for _ in network.get_submodule(path).parameters())]
    if more or len(rotary) > 1:
        raise lacks(network, f"only linear layers and norms around its layers; found {', '.join(more or rotary)}")
    count = len(network.get_submodule(outer[0]))  # type: ignore[arg-type]  # a ModuleList
    return _Stack(
        words,
        tuple(path for path in known if order.index(path) < place),
        tuple(f"{outer[0]}.{index}" for index in range(count)),
        tuple(path for path in known if order.index(path) > place),
        rotary[0] if rotary else "",
    )


def _embedding_path(network: Any) -> str:
    try:
        table = network.get_input_embeddings()
    except (NotImplementedError, AttributeError):
        table = None
    found = next((path for path, module in network.named_modules() if module is table), "")
    if not found or not isinstance(table, nn.Embedding):
        raise lacks(network, "a table of words, `get_input_embeddings`")
    return found


def _children(network: nn.Module, layers: str) -> list[str]:
    """Return the paths of the modules beside the list ``layers`` and its parents, in order, with the list itself."""
    owner, _, name = layers.partition(".")
    paths: list[str] = []
    for child, module in network.named_children():
        if child == owner and name:
            paths += [f"{owner}.{path}" for path in _children(module, name)]
        else:
            paths.append(child)
    return paths


def _is_plain(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | nn.Dropout) or is_norm_layer(module)


def _is_causal(layer: nn.Module) -> bool:
    return any(bool(getattr(module, "is_causal", False)) for module in layer.modules())


def _layer(network: nn.Module, stack: _Stack, index: int, behind: tuple[str, ...]) -> _listed.Draw:
    """Return how the layer number ``index`` is drawn, with the modules ``behind`` it.

    Raises:
        ChainError: it requires an argument that is unknown here, or attends in an unknown way.
    """
    path = stack.layers[index]
    config: Any = network.config
    layer: Any = network.get_submodule(path)
    arguments = dict(list(signature(type(layer).forward).parameters.items())[1:])
    required = [
        name for name, one in arguments.items() if one.default is Parameter.empty and one.kind.name[:3] != "VAR"
    ]
    if unknown := [name for name in required[1:] if name not in _KNOWN]:
        raise lacks(network, f"layers that need no more than {', '.join(_KNOWN)}; {path} needs {', '.join(unknown)}")
    kind = _attention(layer, config, index)
    if kind not in (_FULL, _SLIDING):
        raise lacks(network, f"layers of {_FULL} or {_SLIDING}; {path} is one of {kind}")
    window = int(config.sliding_window) if kind == _SLIDING else 0
    causal = _is_causal(layer)
    by_type = stack.rotary and "layer_type" in signature(type(network.get_submodule(stack.rotary)).forward).parameters

    def draw(graph: fx.Graph, packed: fx.Node) -> fx.Node:
        hidden = graph.call_function(_listed.hidden_of, (packed,))
        places = graph.call_function(_listed.places_of, (packed,))
        given: dict[str, Any] = {"attention_mask": graph.call_function(mask_of, (packed, window, causal))}
        if stack.rotary:
            named = (kind,) if by_type else ()
            given["position_embeddings"] = graph.call_module(stack.rotary, (hidden, places, *named))
        given["position_ids"] = places
        node = graph.call_module(path, (hidden,), {name: value for name, value in given.items() if name in arguments})
        node = graph.call_function(first_of, (node,))
        for one in behind:
            node = graph.call_module(one, (node,))
        return graph.call_function(_listed.packed_like, (node, packed))

    return draw


def _attention(layer: nn.Module, config: Any, index: int) -> str:
    """Return how a layer attends, as transformers calls it: by its own word, by its place, or like all the others."""
    types = getattr(config, "layer_types", None) or ()
    usual = _SLIDING if getattr(config, "sliding_window", None) else _FULL
    return str(getattr(layer, "attention_type", types[index] if index < len(types) else usual))


def mask_of(packed: Tensor, window: int, causal: bool) -> Tensor:  # an argument in a graph
    """Return what is added to attention scores: padding, later tokens and those outside of a window are hidden.

    As transformers counts them: ``window`` tokens and the token itself on both sides, or with it in a decoder.
    """
    mask = _listed.causal_bias(packed) if causal else _listed.attention_bias(packed)
    if not window:
        return mask
    places = torch.arange(packed.shape[1], device=packed.device)
    distance = (places[:, None] - places[None, :]).abs()
    far = distance >= window if causal else distance > window
    return mask - far.to(mask.dtype) * _listed.SILENT


def first_of(outputs: Any) -> Any:
    """Return the hidden states of a layer's output, which is a tuple in some networks."""
    return outputs[0] if isinstance(outputs, tuple) else outputs


def _check_equal(network: nn.Module, chain: Chain) -> None:
    """Compare the chain with its network on two short texts, one of them padded; on the meta device nothing can be.

    Raises:
        ChainError: they differ.
    """
    if any(parameter.is_meta for parameter in network.parameters()):
        return
    config: Any = network.config
    tokens = min(_TRIED, *chain.input_shape)
    padding = int(str(chain.facts["padding"]))
    ids = torch.arange(2 * tokens).reshape(2, tokens) * 7 % int(config.vocab_size)
    ids = torch.where(ids == padding, (padding + 1) % int(config.vocab_size), ids)
    real = torch.ones_like(ids)
    real[1, (tokens + 1) // 2 :] = 0
    modes = [(module, module.training) for module in (network, *chain.modules())]
    try:
        with torch.no_grad():
            expected = network.eval()(ids.where(real > 0, max(padding, 0)), attention_mask=real).last_hidden_state
            found = chain.train(False).forward(ids.where(real > 0, padding))[..., :-1]
    except Exception as error:  # a network of unknown kind may fail in any way
        reason = first_line(error)
        raise lacks(network, f"layers that run one by one: {reason}") from error
    finally:
        for module, mode in modes:
            module.train(mode)
    difference = (found - expected)[real > 0].abs().max() / expected[real > 0].abs().max()
    if not difference <= 1e-3:
        raise lacks(network, "layers that compute the same one by one; something between them is unknown here")


family = Stacked()
