from __future__ import annotations

import pytest
import torch

from spaces.backbones._base import Preprocessing, Pretrained
from spaces.chains import probe
from spaces.chains.chain import Chain
from spaces.decisions import registry
from spaces.decisions._base import NotApplicable
from spaces.decisions.length import Range, decision
from spaces.errors import CandidateError
from spaces.families import family_of
from spaces.networks.space import Random, Space, StoredParameters

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def chain() -> Chain:
    options = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.AutoConfig.for_model("bert", vocab_size=50, max_position_embeddings=64, **options)
    network = transformers.AutoModel.from_config(config, add_pooling_layer=False).eval()
    family = family_of(network)
    assert family is not None
    return family.chain(network, (1, 48))


def test_lengths_below_the_studys_own_may_be_chosen(chain: Chain) -> None:
    choices = decision.choices(chain, Range(tokens=(16, 32, 64)))
    assert choices == {16: 16, 32: 32, 48: 0}
    assert {decision.sample(Random(seed), choices) for seed in range(20)} == {0, 16, 32}
    assert decision.params(0, choices) == {"length": 48}
    assert decision.extremes(choices, chain) == (16, 0)
    assert decision.params(24, choices) is None


def test_a_shorter_text_costs_less_and_candidates_carry_its_length(chain: Chain) -> None:
    space = Space(
        Pretrained("t:b", "B", "none", "", Preprocessing(), chain), {"length": Range(tokens=(16, 48))}, "text"
    )
    candidate = space.sample(StoredParameters({"length": 16}))
    assert candidate.structure.input_size == (1, 16)
    assert "16 tokens at most" in space.words(candidate)
    short, whole = (sum(unit.macs for unit in probe.describe(found)) for found in (space.apply(candidate), space.chain))
    assert short < whole / 2
    ids = torch.randint(1, 50, (2, 16))
    torch.testing.assert_close(space.apply(candidate).forward(ids), chain.forward(ids))


def test_where_it_has_no_place(chain: Chain) -> None:
    found = decision.choices(chain, Range(tokens=(48, 64)))
    assert isinstance(found, NotApplicable)
    assert "no length below the study's own, 48 tokens" in found.reason
    assert "length" in registry("text")
    assert "length" not in registry("classification")


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match=r"length.tokens: low must be at least 8, got 4"):
        Range(tokens=(4,))
    with pytest.raises(CandidateError, match="length must be a whole number"):
        decision.parse("long")
