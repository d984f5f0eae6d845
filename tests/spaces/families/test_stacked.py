from __future__ import annotations

import copy
from inspect import signature
from typing import Any

import pytest
import torch
from torch import nn

from spaces.chains import probe
from spaces.errors import ChainError
from spaces.families import family_of

transformers = pytest.importorskip("transformers")
SMALL = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 50}


TYPES = {
    "bert": {},
    "roberta": {},
    "distilbert": {"dim": 24, "n_layers": 3, "n_heads": 2, "hidden_dim": 32},
    "electra": {"embedding_size": 12},
    "camembert": {},
    "ernie": {},
    "nomic_bert": {},
    "modernbert": {"global_attn_every_n_layers": 2, "local_attention": 4},
    "eurobert": {"num_key_value_heads": 1},
}
"""Encoders, with the options that make a small one of them."""
DECODERS = {
    "llama": {"num_key_value_heads": 1},
    "mistral": {"num_key_value_heads": 1, "sliding_window": 3},
    "qwen2": {"num_key_value_heads": 1},
    "qwen3": {"num_key_value_heads": 1, "head_dim": 12},
    "gemma": {"num_key_value_heads": 1, "head_dim": 12},
    "gemma2": {"num_key_value_heads": 1, "head_dim": 12, "sliding_window": 3},
    "gemma3_text": {"num_key_value_heads": 1, "head_dim": 12, "sliding_window": 3},
    "olmo2": {"num_key_value_heads": 1},
    "smollm3": {"num_key_value_heads": 1},
    "phi3": {"num_key_value_heads": 1},
    "gpt_neox": {},
}


def small(kind: str, **more: Any) -> nn.Module:
    """A small network of ``kind`` with random weights."""
    options: dict[str, Any] = dict(SMALL, max_position_embeddings=40)
    if kind == "albert":
        options |= {"embedding_size": 12}
    options |= {**TYPES, **DECODERS}.get(kind, {})
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, **{**options, "pad_token_id": 1, **more})
    return transformers.AutoModel.from_config(config, **without_pooler(config))


def without_pooler(config: Any) -> dict[str, bool]:
    model: Any = transformers.AutoModel._model_mapping[type(config)]
    return {"add_pooling_layer": False} if "add_pooling_layer" in signature(model.__init__).parameters else {}


def texts(padding: int) -> torch.Tensor:
    torch.manual_seed(1)
    ids = torch.randint(3, 50, (4, 11))
    ids[1, 6:], ids[2, 2:] = padding, padding
    return ids


def check_equality(kind: str, **more: Any) -> None:
    """A chain gives the network's last hidden state, padding or not, and the same gradients under the same seed."""
    network: Any = small(kind, **more).eval()
    family = family_of(network)
    assert family is not None
    twin = copy.deepcopy(network)
    chain = family.chain(twin, (1, 11))
    ids = texts(int(str(chain.facts["padding"])))
    real = ids != chain.facts["padding"]

    def original() -> Any:
        return network(ids.clamp(min=0), attention_mask=real.long()).last_hidden_state

    expected, found = original(), chain.forward(ids)
    assert (found[..., :-1] - expected)[real].abs().max() <= 1e-5 * expected[real].abs().max()
    assert torch.equal(found[..., -1] == 1, real)
    assert set(chain.state_dict()) == set(network.state_dict())
    network.train()
    chain.train()
    losses = []
    for run in (original, lambda: chain.forward(ids)[..., :-1]):
        torch.manual_seed(2)
        hidden = run()
        loss = hidden[real].square().mean() + hidden[:, 0].mean()
        loss.backward()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for (path, own), other in zip(network.named_parameters(), twin.parameters(), strict=True):
        assert own.grad is not None, path
        torch.testing.assert_close(other.grad, own.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", TYPES)
def test_a_chain_computes_what_its_encoder_computes(kind: str) -> None:
    check_equality(kind)


@pytest.mark.parametrize("kind", DECODERS)
def test_a_chain_computes_what_its_decoder_computes(kind: str) -> None:
    check_equality(kind)
    network = small(kind)
    family = family_of(network)
    assert family is not None
    chain = family.chain(network, (1, 11))
    assert (chain.facts["causal"], chain.facts["class_token"], chain.facts["padding"]) == (True, None, -1)
    ids = texts(-1)
    changed = ids.clone()
    changed[0, 7:] = 3
    torch.testing.assert_close(chain.forward(changed)[0, :7], chain.forward(ids)[0, :7])


@pytest.mark.parametrize(
    ("kind", "looked_for"),
    [
        ("clip_text_model", "layers that compute the same one by one"),
        ("roformer", "only linear layers and norms around its layers; found encoder.embed_positions"),
        ("bloom", "layers that need no more than .*; h.0 needs alibi"),
        ("opt", "only linear layers and norms around its layers; found decoder.embed_positions"),
        ("t5", "only linear layers and norms around its layers; found encoder.embed_tokens, decoder"),
    ],
)
def test_a_network_of_another_shape_says_what_was_looked_for(kind: str, looked_for: str) -> None:
    network = small(kind)
    family = family_of(network)
    assert family is not None
    with pytest.raises(ChainError, match=looked_for):
        family.chain(network, (1, 11))


def test_padding_changes_nothing_for_the_tokens_in_front_of_it() -> None:
    network = small("bert").eval()
    family = family_of(network)
    assert family is not None
    chain = family.chain(network, (1, 11))
    ids = texts(1)
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
