from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from by_path import module_at
from torch import nn

from spaces import backbones
from spaces.backbones._base import Preprocessing
from spaces.detector import pretrained_detector
from spaces.errors import BackboneError, WeightsError

PUBLISHED = module_at("shared/published_detectors.py")
both = pytest.mark.parametrize("kind", ["rtdetr", "dfine"])


def opened(folder: Path) -> backbones.Backbone:
    return backbones.resolve(f"transformers_detection:{folder}")


@both
def test_the_chain_is_the_detectors_backbone(kind: str, tmp_path: Path) -> None:
    network = PUBLISHED.published(kind, tmp_path)
    found = opened(tmp_path).pretrained("default", (64, 96))
    own = pretrained_detector(found.chain.facts)
    assert own is not None
    assert (own.kind, own.finest, own.extra, own.width) == (kind, 8, 0, 64)
    assert (own.outputs, own.classes) == (4, PUBLISHED.CLASSES)
    assert (own.settings["decoder_layers"], own.settings["num_queries"]) == (3, 25)
    images = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        expected = network.model.backbone.model(images).feature_maps
        outputs, tapped = images, []
        for unit in found.chain:
            outputs = unit.module(outputs)
            if unit.name in own.taps:
                tapped.append(outputs)
    for one, other in zip(tapped, expected, strict=True):
        torch.testing.assert_close(one, other)
    assert not any(name.startswith(("class_embed.", "bbox_embed.", "model.backbone.")) for name in own.weights)
    assert {*found.chain.state_dict()} <= {*network.state_dict()} | {
        name for name in found.chain.state_dict() if name.endswith("num_batches_tracked")
    }


@both
def test_norms_of_the_backbone_may_learn(kind: str, tmp_path: Path) -> None:
    PUBLISHED.published(kind, tmp_path)
    chain = opened(tmp_path).pretrained("default", (64, 64)).chain
    norms = [layer for unit in chain for layer in unit.module.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) > 5
    assert all(bool(norm.running_mean.any()) for norm in norms)  # type: ignore[union-attr]


def test_images_are_prepared_as_the_folder_says(tmp_path: Path) -> None:
    PUBLISHED.published("rtdetr", tmp_path)
    assert opened(tmp_path).preprocessing == Preprocessing(128, 128, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert opened(tmp_path).usual_size == (128, 128)
    normal = {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(normal))
    assert opened(tmp_path).preprocessing == Preprocessing(640, 640, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


@both
def test_it_is_described_without_weights(kind: str, tmp_path: Path) -> None:
    PUBLISHED.published(kind, tmp_path)
    chain = opened(tmp_path).describe((64, 64))
    own = pretrained_detector(chain.facts)
    assert own is not None
    assert not own.weights
    assert all(value.is_meta for value in chain.state_dict().values() if value.is_floating_point())


def test_what_is_no_detector_with_queries_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"has no config.json; name a folder as `save_pretrained` writes it"):
        opened(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "detr"}))
    with pytest.raises(BackboneError, match="is of type 'detr'; expected a detector of type rt_detr_v2 or d_fine"):
        opened(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(BackboneError, match="is not a description of a model; expected a JSON mapping"):
        opened(tmp_path)


def test_weights_of_another_detector_are_refused_in_one_line(tmp_path: Path) -> None:
    PUBLISHED.published("rtdetr", tmp_path / "three")
    PUBLISHED.published("rtdetr", tmp_path / "four", decoder_n_points=2)
    (tmp_path / "four" / "model.safetensors").replace(tmp_path / "three" / "model.safetensors")
    with pytest.raises(WeightsError, match=r"model.safetensors") as caught:
        opened(tmp_path / "three").pretrained("default", (64, 64))
    assert "\n" not in str(caught.value)
    (tmp_path / "three" / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"cannot read weights from .*model.safetensors"):
        opened(tmp_path / "three").pretrained("default", (64, 64))


def test_a_backbone_without_stages_is_refused_in_one_line(tmp_path: Path) -> None:
    PUBLISHED.published("rtdetr", tmp_path)
    data = json.loads((tmp_path / "config.json").read_text())
    small = {"model_type": "dinov2", "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 4}
    data["backbone_config"] = {**small, "out_indices": [2, 3, 4]}
    (tmp_path / "config.json").write_text(json.dumps(data))
    with pytest.raises(BackboneError, match="has a Dinov2Backbone as backbone; looked for an embedder and stages"):
        opened(tmp_path).pretrained("none", (56, 56))
