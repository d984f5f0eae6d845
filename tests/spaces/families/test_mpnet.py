from __future__ import annotations

import pytest
from by_path import module_at

from spaces.chains import probe
from spaces.families import family_of

pytest.importorskip("transformers")
stacked = module_at("spaces/families/test_stacked.py")


def test_a_chain_computes_what_its_encoder_computes() -> None:
    stacked.check_equality("mpnet")


def test_every_layer_holds_the_table_of_relative_positions() -> None:
    network = stacked.small("mpnet").to("meta")
    family = family_of(network)
    assert family is not None
    chain = family.chain(network, (1, 11))
    assert all("encoder.relative_attention_bias.weight" in unit.module.state_dict() for unit in chain.units[1:])
    assert probe.output_shape(chain) == (11, 25)
