"""DeBERTa of Hugging Face: encoder layers that share one table of relative positions, and a mask of pairs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from operator import getitem
from typing import Any

from torch import Tensor, fx, nn

from spaces.chains.chain import Chain
from spaces.families import _listed
from spaces.families._base import Family

_TABLE, _NORM, _CONV = "encoder.rel_embeddings", "encoder.LayerNorm", "encoder.conv"


class Deberta(Family):
    """``DebertaModel`` (https://arxiv.org/abs/2006.03654) and ``DebertaV2Model``, also of version 3
    (https://arxiv.org/abs/2111.09543).

    Every layer holds the table of relative positions and its norm (fact ``shared``); as in ALBERT, frozen layers keep
    the pretrained ones.
    """

    name = "deberta"

    def matches(self, network: nn.Module) -> bool:
        return _listed.comes_from(network, "DebertaModel", "DebertaV2Model")

    def adapt(self, network: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return _listed.stripped(network, state)

    def chain(self, network: nn.Module, input_size: tuple[int, int]) -> Chain:
        config: Any = network.config
        first = _listed.embedding(network, ["embeddings"], config.pad_token_id)
        units = [
            _listed.unit(network, f"encoder.layer.{index}", _layer(network, index))
            for index in range(config.num_hidden_layers)
        ]
        return _listed.text_chain(network, [first, *units], input_size[1], config.pad_token_id, {"shared": True})


def _layer(network: nn.Module, index: int) -> _listed.Draw:
    encoder: Any = network.get_submodule("encoder")
    version = type(network).__module__

    def draw(graph: fx.Graph, packed: fx.Node) -> fx.Node:
        hidden = graph.call_function(_listed.hidden_of, (packed,))
        given: dict[str, Any] = {}
        if encoder.relative_attention:
            table = graph.get_attr(f"{_TABLE}.weight")
            given["rel_embeddings"] = graph.call_module(_NORM, (table,)) if hasattr(encoder, "LayerNorm") else table
            buckets = (encoder.position_buckets, encoder.max_relative_positions) if "deberta_v2" in version else ()
            given["relative_pos"] = graph.call_function(distances, (hidden, version, *buckets))
        node = graph.call_module(f"encoder.layer.{index}", (hidden, graph.call_function(pairs, (packed,))), given)
        node = graph.call_function(getitem, (node, 0))
        if index == 0 and getattr(encoder, "conv", None) is not None:
            node = graph.call_module(_CONV, (hidden, node, graph.call_function(_listed.real_of, (packed,))))
        return graph.call_function(_listed.packed_like, (node, packed))

    return draw


def pairs(packed: Tensor) -> Tensor:
    """Return which tokens may attend to which, ``(N, 1, T, T)``: 1 for pairs of real ones, 0 for the others."""
    real = packed[..., -1]
    return (real[:, :, None] * real[:, None, :])[:, None]


def distances(hidden: Tensor, version: str, *buckets: int) -> Tensor:
    """Return the distance of any two tokens as this version of DeBERTa numbers it, ``(1, T, T)``."""
    modeling: Any = sys.modules[version]
    found: Tensor = modeling.build_relative_position(hidden, hidden, *buckets)
    return found


family = Deberta()
