"""GPT-2 of Hugging Face: a decoder, in which no token sees later ones."""

from __future__ import annotations

from collections.abc import Mapping
from operator import add
from typing import Any

from torch import Tensor, fx, nn

from spaces.chains.chain import Chain
from spaces.families import _listed
from spaces.families._base import Family


class Gpt2(Family):
    """``GPT2Model`` (https://openai.com/index/better-language-models), DistilGPT2 too.

    It has no padding token: the input marks padding by -1. Only the last token has seen the whole text
    (fact ``causal``). The norm after the last layer belongs to that layer's unit, and is dropped with it.
    """

    name = "gpt2"

    def matches(self, network: nn.Module) -> bool:
        return _listed.comes_from(network, "GPT2Model")

    def adapt(self, network: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        # Older checkpoints carry the causal mask of every layer.
        stripped = _listed.stripped(network, state)
        return {
            name: value for name, value in stripped.items() if not name.endswith((".attn.bias", ".attn.masked_bias"))
        }

    def chain(self, network: nn.Module, input_size: tuple[int, int]) -> Chain:
        count = len(network.get_submodule("h"))  # type: ignore[arg-type]  # a ModuleList
        units = [_listed.unit(network, "wte", _embed, _listed.IDS)]
        units += [_listed.unit(network, f"h.{index}", _block(f"h.{index}")) for index in range(count - 1)]
        units.append(_listed.unit(network, f"h.{count - 1}", _block(f"h.{count - 1}", "ln_f")))
        facts: dict[str, Any] = {"causal": True, "class_token": None}
        return _listed.text_chain(network, units, input_size[1], _listed.NO_PADDING, facts)


def _embed(graph: fx.Graph, ids: fx.Node) -> fx.Node:
    words = graph.call_module("wte", (graph.call_function(_listed.without_padding, (ids,)),))
    places = graph.call_module("wpe", (graph.call_function(_listed.places_of, (ids,)),))
    hidden = graph.call_module("drop", (graph.call_function(add, (words, places)),))
    return graph.call_function(_listed.pack, (hidden, ids, _listed.NO_PADDING))


def _block(path: str, norm: str = "") -> _listed.Draw:
    def draw(graph: fx.Graph, packed: fx.Node) -> fx.Node:
        hidden = graph.call_function(_listed.hidden_of, (packed,))
        bias = graph.call_function(_listed.causal_bias, (packed,))
        # The second argument is a cache of earlier tokens, which only text generation has.
        node = graph.call_module(path, (hidden, None, bias))
        node = graph.call_module(norm, (node,)) if norm else node
        return graph.call_function(_listed.packed_like, (node, packed))

    return draw


family = Gpt2()
