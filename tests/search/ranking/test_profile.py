from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from search.data.images import FileImage
from search.data.sample import Sample, Split
from search.model.folder import ImagePreprocessing
from search.model.inputs import transform_of
from search.ranking.profile import LabelledImages, layer_places, profile
from search.training import features
from search.training.precision import choose
from spaces import backbones
from spaces.backbones._base import Pretrained

SIZE = (64, 64)
PRECISION = choose(torch.device("cpu"), "float32")


@pytest.fixture
def labelled(folder: Path, tmp_path: Path) -> LabelledImages:
    paths = sorted(folder.glob("*/0[0-5].png"))
    names = sorted({path.parent.name for path in paths})
    samples = tuple(Sample(FileImage(path), names.index(path.parent.name), Split.TRAIN) for path in paths)
    return LabelledImages(samples, "colours", tmp_path / "kept")


def network(name: str = "squeezenet1_1") -> Pretrained:
    pretrained = backbones.resolve(name).pretrained("none", SIZE, seed=1)
    return Pretrained(
        pretrained.backbone, pretrained.label, "random", "", pretrained.preprocessing, pretrained.chain.train(False)
    )


def test_features_and_answers_are_those_of_the_network(labelled: LabelledImages) -> None:
    pretrained = network("resnet18")
    found = profile(pretrained, labelled, PRECISION, 3)
    expected = pretrained.preprocessing
    resize = expected.resize_for(64)
    frame = ImagePreprocessing(
        size=SIZE, resize=(resize, resize), mean=expected.mean, std=expected.std, interpolation=expected.interpolation
    )
    transform = transform_of(frame)
    images = torch.stack([transform(sample.input.open()) for sample in labelled.samples])
    with torch.inference_mode():
        last = pretrained.chain.forward(images).mean((2, 3))
        answers = pretrained.chain.logits(images).softmax(1)
    evidence = found.evidence[-1]
    assert np.allclose(evidence.features, last.numpy(), atol=1e-4)
    assert evidence.probabilities is not None
    assert np.allclose(evidence.probabilities, answers.numpy(), atol=1e-5)
    assert evidence.labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert found.units == ("layer1.1", "layer3.0", "layer4.1")
    assert found.depths[-1] == 1.0
    assert all(part.probabilities is None for part in found.evidence[:-1])
    assert found.latency_ms > 0


def test_a_second_look_computes_nothing(labelled: LabelledImages, monkeypatch: pytest.MonkeyPatch) -> None:
    first = profile(network(), labelled, PRECISION, 3)
    monkeypatch.setattr("search.ranking.profile._Reader.__call__", lambda self, images: pytest.fail("computed again"))
    again = profile(network(), labelled, PRECISION, 3)
    assert np.array_equal(first.evidence[0].features, again.evidence[0].features)


def test_other_weights_images_and_layers_are_reported_apart(labelled: LabelledImages) -> None:
    first = profile(network(), labelled, PRECISION, 3)
    changed = network()
    with torch.no_grad():
        next(changed.chain.units[0].module.parameters()).mul_(2)
    features._digests.clear()
    assert not np.allclose(profile(changed, labelled, PRECISION, 3).evidence[0].features, first.evidence[0].features)
    assert len(profile(network(), labelled, PRECISION, 2).evidence) == 2


def test_without_a_cache_it_works_in_memory(labelled: LabelledImages) -> None:
    found = profile(network(), LabelledImages(labelled.samples, "colours", None), PRECISION, 1)
    assert len(found.evidence) == 1


def test_layers_are_spread_evenly_and_end_with_the_last() -> None:
    chain = backbones.resolve("mobilenet_v2").describe(SIZE)
    assert layer_places(chain, 1) == [18]
    assert layer_places(chain, 4) == [4, 8, 13, 18]
    assert layer_places(chain, 99) == list(range(19))
