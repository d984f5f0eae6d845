from __future__ import annotations

import pytest
from by_path import module_at

from spaces.families import family_of

pytest.importorskip("transformers")
stacked = module_at("spaces/families/test_stacked.py")
THIRD = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 4, "type_vocab_size": 0}
VERSIONS = {
    "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "max_relative_positions": 8},
    "deberta-v2": {**THIRD, "norm_rel_ebd": "layer_norm", "share_att_key": True, "position_biased_input": False},
}


@pytest.mark.parametrize("kind", VERSIONS)
def test_a_chain_computes_what_its_encoder_computes(kind: str) -> None:
    stacked.check_equality(kind, **VERSIONS[kind])


def test_without_relative_positions_and_with_a_convolution_it_does_too() -> None:
    stacked.check_equality("deberta-v2", **{**THIRD, "conv_kernel_size": 3})
    stacked.check_equality("deberta-v2")
    stacked.check_equality("deberta")


def test_all_layers_hold_the_table_of_positions_and_the_chain_says_so() -> None:
    network = stacked.small("deberta-v2", **VERSIONS["deberta-v2"])
    family = family_of(network)
    assert family is not None
    chain = family.chain(network, (1, 11))
    assert [unit.name for unit in chain] == ["embeddings", *(f"encoder.layer.{place}" for place in range(3))]
    assert chain.facts["shared"] is True
    tables = [unit.module.get_parameter("encoder.rel_embeddings.weight") for unit in chain.units[1:]]
    assert tables[0] is tables[-1]
