from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from spaces.chains import probe
from spaces.errors import ProbeError
from spaces.families import family_of
from spaces.families._base import Positions

transformers = pytest.importorskip("transformers")


def small(side: int = 32) -> nn.Module:
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(
        "vit",
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=side,
        patch_size=8,
    )
    return transformers.AutoModel.from_config(config, add_pooling_layer=False)


def test_a_chain_computes_what_its_network_computes() -> None:
    network: Any = small().eval()
    twin = copy.deepcopy(network)
    family = family_of(twin)
    assert family is not None
    chain = family.chain(twin, (32, 32))
    images = torch.randn(2, 3, 32, 32)
    expected = network(images).last_hidden_state
    assert (chain.forward(images) - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert set(chain.state_dict()) == set(network.state_dict())
    network.train()
    chain.train()
    for run in (lambda: network(images).last_hidden_state, lambda: chain.forward(images)):
        torch.manual_seed(2)
        run().square().mean().backward()
    for own, other in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(other.grad, own.grad, rtol=1e-4, atol=1e-6)


def test_another_size_resamples_the_positions_as_the_library_does() -> None:
    network: Any = small()
    network.eval()
    family = family_of(network)
    assert family is not None
    images = torch.randn(2, 3, 48, 64)
    expected = network(images, interpolate_pos_encoding=True).last_hidden_state
    family.resize(network, (48, 64))
    chain = family.chain(network, (48, 64))
    assert chain.facts["positions"] == (Positions("embeddings.position_embeddings", 1, "tokens", (6, 8)),)
    torch.testing.assert_close(chain.forward(images), expected, rtol=1e-4, atol=1e-5)
    assert probe.describe(chain)[-1].out_shape == (49, 24)


def test_a_size_that_patches_cannot_fill_is_refused() -> None:
    network = small()
    family = family_of(network)
    assert family is not None
    with pytest.raises(ProbeError, match="multiple of the patch, 8x8 pixels"):
        family.resize(network, (36, 32))
