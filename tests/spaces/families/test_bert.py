from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from spaces.chains import probe
from spaces.families import family_of

transformers = pytest.importorskip("transformers")
SMALL = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 50}


def small(kind: str) -> nn.Module:
    """A small encoder of ``kind`` with random weights."""
    options: dict[str, Any] = dict(SMALL, max_position_embeddings=40)
    if kind == "distilbert":
        options = {"dim": 24, "n_layers": 3, "n_heads": 2, "hidden_dim": 32, "vocab_size": 50}
    if kind == "albert":
        options |= {"embedding_size": 12}
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, **options)
    return transformers.AutoModel.from_config(config, **({} if kind == "distilbert" else {"add_pooling_layer": False}))


def texts(network: Any) -> torch.Tensor:
    padding = network.config.pad_token_id
    torch.manual_seed(1)
    ids = torch.randint(3, 50, (4, 11))
    ids[1, 6:], ids[2, 2:] = padding, padding
    return ids


def check_equality(kind: str) -> None:
    """A chain gives the encoder's last hidden state, padding or not, and the same gradients under the same seed."""
    network: Any = small(kind).eval()
    family = family_of(network)
    assert family is not None
    twin = copy.deepcopy(network)
    chain = family.chain(twin, (1, 11))
    ids = texts(network)
    real = ids != network.config.pad_token_id
    expected = network(ids, attention_mask=real.long()).last_hidden_state
    found = chain.forward(ids)
    assert (found[..., :-1] - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert torch.equal(found[..., -1] == 1, real)
    assert set(chain.state_dict()) == set(network.state_dict())
    network.train()
    chain.train()
    losses = []
    for run in (
        lambda: network(ids, attention_mask=real.long()).last_hidden_state,
        lambda: chain.forward(ids)[..., :-1],
    ):
        torch.manual_seed(2)
        hidden = run()
        loss = (hidden * real[..., None]).square().mean() + hidden[:, 0].mean()
        loss.backward()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for (path, own), other in zip(network.named_parameters(), twin.parameters(), strict=True):
        assert own.grad is not None, path
        torch.testing.assert_close(other.grad, own.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert"])
def test_a_chain_computes_what_its_encoder_computes(kind: str) -> None:
    check_equality(kind)


def test_padding_changes_nothing_for_the_tokens_in_front_of_it() -> None:
    network = small("bert").eval()
    family = family_of(network)
    assert family is not None
    chain = family.chain(network, (1, 11))
    ids = texts(network)
    alone = chain.forward(ids[1:2, :6])
    torch.testing.assert_close(chain.forward(ids)[1:2, :6], alone, rtol=1e-5, atol=1e-5)


def test_units_of_a_text_are_probed_without_computing() -> None:
    network = small("bert").to("meta")
    family = family_of(network)
    assert family is not None
    chain = family.chain(network, (1, 11))
    facts = probe.describe(chain)
    assert chain.input_shape == (11,)
    assert [unit.name for unit in facts] == ["embeddings", *(f"encoder.layer.{place}" for place in range(3))]
    assert facts[0].in_shape == (11,)
    assert facts[-1].out_shape == (11, 25)
    assert [unit.can_skip for unit in facts] == [False, True, True, True]
    linear = 4 * 24 * 24 + 2 * 24 * 32
    assert facts[1].macs == 11 * linear + 2 * 11 * 11 * 24


def test_a_checkpoint_of_a_task_gives_its_encoder() -> None:
    config = transformers.AutoConfig.for_model("bert", **SMALL)
    task = transformers.AutoModelForSequenceClassification.from_config(config)
    network = small("bert")
    family = family_of(network)
    assert family is not None
    state = family.adapt(network, task.state_dict())
    assert set(state) == set(network.state_dict())
