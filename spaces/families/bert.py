"""BERT and its relatives of Hugging Face: an embedding, then encoder layers that normalise their output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from spaces.chains.chain import Chain
from spaces.families import _listed
from spaces.families._base import Family


class Bert(Family):
    """``BertModel`` (https://arxiv.org/abs/1810.04805), ``RobertaModel`` (https://arxiv.org/abs/1907.11692) and
    ``DistilBertModel`` (https://arxiv.org/abs/1910.01108)."""

    name = "bert"

    def matches(self, network: nn.Module) -> bool:
        return _listed.comes_from(network, "BertModel", "RobertaModel", "XLMRobertaModel", "DistilBertModel")

    def adapt(self, network: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return _listed.stripped(network, state)

    def chain(self, network: nn.Module, input_size: tuple[int, int]) -> Chain:
        encoder: Any = network
        layers = "transformer.layer" if hasattr(network, "transformer") else "encoder.layer"
        count = len(encoder.get_submodule(layers))
        units = [_listed.layer(network, f"{layers}.{index}") for index in range(count)]
        first = _listed.embedding(network, ["embeddings"], encoder.config.pad_token_id)
        return _listed.text_chain(network, [first, *units], input_size[1], encoder.config.pad_token_id)


family = Bert()
