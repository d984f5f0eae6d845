from __future__ import annotations

import pytest
import torch
from by_path import module_at

from spaces.families import family_of

pytest.importorskip("transformers")
stacked = module_at("spaces/families/test_stacked.py")


def test_a_chain_computes_what_its_encoder_computes() -> None:
    stacked.check_equality("albert")


def test_all_layers_share_their_parameters_and_the_chain_says_so() -> None:
    network = stacked.small("albert")
    family = family_of(network)
    assert family is not None
    chain = family.chain(network, (1, 11))
    assert [unit.name for unit in chain] == ["embeddings", *(f"encoder.layer.{place}" for place in range(3))]
    assert chain.facts["shared"] is True
    first, last = (list(chain.units[place].module.parameters()) for place in (1, 3))
    assert all(one is other for one, other in zip(first, last, strict=True))
    assert isinstance(first[0], torch.nn.Parameter)
