"""MPNet of Hugging Face: encoder layers that share one table of relative positions."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from spaces.chains.chain import Chain
from spaces.families import _listed
from spaces.families._base import Family

_TABLE = "encoder.relative_attention_bias"


class MPNet(Family):
    """``MPNetModel`` (https://arxiv.org/abs/2004.09297).

    Every layer holds the table of relative positions, a few hundred numbers (fact ``shared``); as in ALBERT,
    frozen layers keep the pretrained one.
    """

    name = "mpnet"

    def matches(self, network: nn.Module) -> bool:
        return _listed.comes_from(network, "MPNetModel")

    def adapt(self, network: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return _listed.stripped(network, state)

    def chain(self, network: nn.Module, input_size: tuple[int, int]) -> Chain:
        config: Any = network.config

        def bias(graph: fx.Graph, hidden: fx.Node) -> fx.Node:
            table = graph.call_module(_TABLE, (graph.call_function(distances, (hidden,)),))
            return graph.call_function(by_head, (table,))

        # MPNet's embeddings take 1 as the id of padding, whatever the configuration says.
        first = _listed.embedding(network, ["embeddings"], config.pad_token_id)
        units = [
            _listed.layer(network, f"encoder.layer.{index}", bias=bias, in_tuple=True)
            for index in range(config.num_hidden_layers)
        ]
        return _listed.text_chain(network, [first, *units], input_size[1], config.pad_token_id, {"shared": True})


def distances(hidden: Tensor) -> Tensor:
    """Return the bucket of the distance between any two tokens, ``(T, T)``, as MPNet numbers them."""
    places = torch.arange(hidden.shape[1], device=hidden.device)
    encoder: Any = sys.modules["transformers.models.mpnet.modeling_mpnet"].MPNetEncoder
    buckets: Tensor = encoder.relative_position_bucket(places[None, :] - places[:, None], num_buckets=32)
    return buckets


def by_head(table: Tensor) -> Tensor:
    """Return ``(T, T, heads)`` in the form that attention takes, ``(1, heads, T, T)``."""
    return table.permute(2, 0, 1)[None]


family = MPNet()
