from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from spaces import backbones
from spaces.backbones._base import Preprocessing, Pretrained
from spaces.chains import probe
from spaces.chains.chain import Chain
from spaces.decisions import head, lora
from spaces.families import family_of
from spaces.networks.space import Space, StoredParameters

transformers = pytest.importorskip("transformers")
SMALL = {"n_embd": 24, "n_layer": 3, "n_head": 2, "vocab_size": 50, "n_positions": 40}


def small() -> nn.Module:
    torch.manual_seed(0)
    return transformers.AutoModel.from_config(transformers.AutoConfig.for_model("gpt2", **SMALL))


def chain_of(network: nn.Module) -> Chain:
    family = family_of(network)
    assert family is not None
    return family.chain(network, (1, 11))


def texts() -> tuple[torch.Tensor, torch.Tensor]:
    """Token numbers with -1 for padding, and which of them are real."""
    torch.manual_seed(1)
    ids = torch.randint(0, 50, (4, 11))
    ids[1, 6:], ids[2, 2:] = -1, -1
    return ids, ids >= 0


def test_a_chain_computes_what_its_decoder_computes_with_gradients() -> None:
    network: Any = small().eval()
    twin = copy.deepcopy(network)
    chain = chain_of(twin)
    ids, real = texts()
    expected = network(ids.clamp(min=0), attention_mask=real.long()).last_hidden_state
    found = chain.forward(ids)
    assert ((found[..., :-1] - expected)[real]).abs().max() <= 1e-5 * expected.abs().max()
    assert torch.equal(found[..., -1] == 1, real)
    assert set(chain.state_dict()) == set(network.state_dict())
    expected[real].square().mean().backward()
    found[..., :-1][real].square().mean().backward()
    for (path, own), other in zip(network.named_parameters(), twin.parameters(), strict=True):
        assert own.grad is not None, path
        torch.testing.assert_close(other.grad, own.grad, rtol=1e-4, atol=1e-6)


def test_no_token_sees_those_after_it() -> None:
    chain = chain_of(small().eval())
    ids, _ = texts()
    changed = ids.clone()
    changed[0, 7:] = 3
    torch.testing.assert_close(chain.forward(changed)[0, :7], chain.forward(ids)[0, :7])


def test_units_and_the_pooling_of_a_decoder() -> None:
    chain = chain_of(small().eval())
    facts = probe.describe(chain)
    assert [unit.name for unit in facts] == ["wte", "h.0", "h.1", "h.2"]
    assert [unit.can_skip for unit in facts] == [False, True, True, True]
    features = head.features_of(chain)
    assert features.poolings == ("last", "mean", "attention", "max")
    assert head.decision.baseline(chain).pooling == "last"
    choices = head.decision.choices(chain, head.Range())
    assert (choices.pooling, choices.parameter) == (("max", "last", "mean"), "head.token_pooling")


def test_low_rank_updates_fit_its_layers() -> None:
    chain = chain_of(small().eval())
    pretrained = Pretrained("test:gpt2", "Small", "random", "", Preprocessing(), chain)
    space = Space(pretrained, {"lora": lora.Range(ranks=(4,))})
    ids, _ = texts()
    adapted = space.apply(space.sample(StoredParameters({"lora.where": "all", "lora.rank": 4})))
    assert any("LoRA of rank 4" in unit.edits for unit in adapted)
    torch.testing.assert_close(adapted.forward(ids), chain.forward(ids))


def test_a_folder_is_a_backbone_and_old_checkpoints_with_masks_load(tmp_path: Path) -> None:
    network = small()
    network.save_pretrained(tmp_path / "mine")
    backbone = backbones.resolve(f"transformers:{tmp_path / 'mine'}")
    assert (backbone.reads, backbone.usual_size) == ("tokens", (1, 40))
    old = {f"transformer.{name}": value for name, value in network.state_dict().items()}
    old["transformer.h.0.attn.bias"] = torch.ones(1, 1, 40, 40)
    torch.save(old, tmp_path / "old.pt")
    ids, real = texts()
    for weights in ("default", str(tmp_path / "old.pt")):
        found = backbone.pretrained(weights, (1, 11)).chain.forward(ids)[..., :-1][real]
        torch.testing.assert_close(found, network.eval()(ids.clamp(min=0)).last_hidden_state[real])
