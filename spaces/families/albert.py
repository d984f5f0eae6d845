"""ALBERT of Hugging Face: one layer's weights, applied again and again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from spaces.chains.chain import Chain
from spaces.families import _listed
from spaces.families._base import Family


class Albert(Family):
    """``AlbertModel`` (https://arxiv.org/abs/1909.11942).

    Each application of the layer is a unit; all of one group hold the same parameters (fact ``shared``).
    Freezing concerns applications: the first k keep the pretrained weights, so that their output can be cached,
    and the later ones start from a copy that learns. From then on the two differ, and such a network has more
    parameters than ALBERT; with nothing frozen, or everything, it stays ALBERT.
    """

    name = "albert"

    def matches(self, network: nn.Module) -> bool:
        return _listed.comes_from(network, "AlbertModel")

    def adapt(self, network: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return _listed.stripped(network, state)

    def chain(self, network: nn.Module, input_size: tuple[int, int]) -> Chain:
        config: Any = network.config
        first = _listed.embedding(network, ["embeddings", "encoder.embedding_hidden_mapping_in"], config.pad_token_id)
        units = [first]
        for index in range(config.num_hidden_layers):
            group = int(index / (config.num_hidden_layers / config.num_hidden_groups))
            units.append(_listed.layer(network, f"encoder.albert_layer_groups.{group}", f"encoder.layer.{index}"))
        return _listed.text_chain(network, units, input_size[1], config.pad_token_id, {"shared": True})


family = Albert()
