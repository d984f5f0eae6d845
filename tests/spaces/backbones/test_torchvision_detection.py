from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.models.detection._utils import overwrite_eps
from torchvision.ops import FrozenBatchNorm2d

from spaces import backbones
from spaces.backbones.torchvision_detection import absorb_epsilon
from spaces.chains import probe
from spaces.decisions import box_head, detector, proposals, pyramid_levels
from spaces.decisions.head import attachment
from spaces.detector import FACT, PretrainedDetector, Style, pretrained_detector
from spaces.errors import WeightsError
from spaces.networks.space import Random, Space

SMALL = "fasterrcnn_mobilenet_v3_large_320_fpn"
EVERY = tuple(backbones.sources()["torchvision_detection"].names())
RESNET_TAPS = tuple(f"backbone.body.{name}" for name in ("layer1.2", "layer2.3", "layer3.5", "layer4.2"))


def own(name: str) -> PretrainedDetector:
    found = pretrained_detector(backbones.resolve(name).describe((256, 256)).facts)
    assert found is not None
    return found


def saved(folder: Path, classes: int = 4) -> tuple[nn.Module, Path]:
    """Write the weights of a small detector, trained for ``classes`` outputs, and return both."""
    torch.manual_seed(5)
    network = models.get_model(SMALL, weights=None, weights_backbone=None, num_classes=classes).eval()
    path = folder / "detector.pth"
    torch.save(network.state_dict(), path)
    return network, path


def test_they_are_those_on_a_pyramid_and_found_by_their_short_names() -> None:
    offered = models.list_models(module=models.detection)
    left_out = {name for name in offered if name not in EVERY}
    assert left_out == {"ssd300_vgg16", "ssdlite320_mobilenet_v3_large", "maskrcnn_resnet50_fpn"} | {
        "maskrcnn_resnet50_fpn_v2",
        "keypointrcnn_resnet50_fpn",
    }
    assert backbones.resolve(SMALL).name == f"torchvision_detection:{SMALL}"


def test_what_is_built_on_the_backbone_is_read_off_the_network() -> None:
    first, second, retina = (own(f"{name}") for name in ("fasterrcnn_resnet50_fpn", EVERY[1], EVERY[5]))
    assert (first.kind, first.taps, first.finest, first.extra) == ("faster_rcnn", RESNET_TAPS, 4, 1)
    assert (first.linear, first.style) == ((1024, 1024), Style())
    assert second.style == Style(pyramid_norm=True, rpn_depth=2, box_convolutions=(256,) * 4)
    assert (retina.kind, retina.taps, retina.finest, retina.extra) == ("retinanet", RESNET_TAPS[1:], 8, 2)
    assert retina.style == Style(extra="map", box_loss="giou")
    assert own("retinanet_resnet50_fpn").style == Style(extra="level", head_norm=False)
    assert own("fcos_resnet50_fpn").kind == "fcos"
    assert own(SMALL).style.least_proposal == 0.05
    assert own(SMALL).proposals == 150


@pytest.mark.parametrize("name", EVERY)
def test_the_backbone_is_a_chain_with_the_detectors_own_levels(name: str) -> None:
    chain = backbones.resolve(name).describe((256, 256))
    found = pretrained_detector(chain.facts)
    assert found is not None
    strides = {unit.name: unit.reduction for unit in probe.describe(chain)}
    assert strides[found.taps[0]] == found.finest
    assert [tap.name for tap in attachment(chain).detector_taps] == list(found.taps)
    assert not found.weights


def test_weights_of_a_file_arrive_whatever_its_number_of_classes(tmp_path: Path) -> None:
    network, path = saved(tmp_path)
    opened = backbones.resolve(SMALL).pretrained(str(path), (64, 64))
    expected = network.state_dict()
    body = opened.chain.state_dict()
    assert {name for name in expected if name.startswith("backbone.body.")} == set(body)
    assert all(torch.equal(body[name], expected[name]) for name in body)
    found = pretrained_detector(opened.chain.facts)
    assert found is not None
    assert set(found.weights) == set(expected) - set(body)
    assert all(torch.equal(value, expected[name]) for name, value in found.weights.items())
    assert found.classes == ()
    images = torch.rand(2, 3, 64, 64)
    last = network.backbone.body(images)["1"]  # type: ignore[union-attr]
    torch.testing.assert_close(opened.chain.forward(images), last)


def test_cocos_classes_are_known_by_name(tmp_path: Path) -> None:
    _, path = saved(tmp_path, 91)
    found = pretrained_detector(backbones.resolve(SMALL).pretrained(str(path), (64, 64)).chain.facts)
    assert found is not None
    assert found.classes[:2] == ("__background__", "person")


def test_random_ones_bring_nothing_but_how_they_are_made() -> None:
    found = backbones.resolve(SMALL).pretrained("none", (64, 64)).chain.facts[FACT]
    assert isinstance(found, PretrainedDetector)
    assert not found.weights


def test_older_names_of_keys_are_read_as_torchvision_reads_them(tmp_path: Path) -> None:
    network, path = saved(tmp_path)
    state = {name: value for name, value in network.state_dict().items() if "num_batches_tracked" not in name}
    for block in ("inner_blocks", "layer_blocks"):
        for kind in ("weight", "bias"):
            state[f"backbone.fpn.{block}.0.{kind}"] = state.pop(f"backbone.fpn.{block}.0.0.{kind}")
    torch.save(state, path)
    found = pretrained_detector(backbones.resolve(SMALL).pretrained(str(path), (64, 64)).chain.facts)
    assert found is not None
    key = "backbone.fpn.inner_blocks.0.0.weight"
    assert torch.equal(found.weights[key], network.state_dict()[key])


@pytest.mark.parametrize("change", ["missing", "unknown", "of another shape"])
def test_weights_of_another_network_are_refused_by_name(tmp_path: Path, change: str) -> None:
    network, path = saved(tmp_path)
    state = dict(network.state_dict())
    key = "rpn.head.bbox_pred.bias"
    if change == "missing":
        del state[key]
    elif change == "unknown":
        state["nowhere"] = state[key]
    else:
        state[key] = torch.zeros(7)
    torch.save(state, path)
    with pytest.raises(WeightsError, match=rf"another network than torchvision's {SMALL}: .*{change}") as caught:
        backbones.resolve(SMALL).pretrained(str(path), (64, 64))
    assert "\n" not in str(caught.value)
    torch.save(models.resnet18().state_dict(), path)
    with pytest.raises(WeightsError, match="missing"):
        backbones.resolve(SMALL).pretrained(str(path), (64, 64))


def test_norms_without_an_epsilon_are_computed_exactly() -> None:
    torch.manual_seed(0)
    frozen = FrozenBatchNorm2d(8)
    frozen.running_var.copy_(torch.rand(8) * 1e-4 + 1e-6)  # type: ignore[operator]
    frozen.running_mean.normal_()  # type: ignore[operator]
    frozen.weight.normal_()  # type: ignore[operator]
    twin = nn.BatchNorm2d(8).eval()
    twin.load_state_dict(frozen.state_dict(), strict=False)
    overwrite_eps(frozen, 0.0)
    absorb_epsilon(nn.Sequential(twin))
    images = torch.randn(2, 8, 4, 4)
    torch.testing.assert_close(twin(images), frozen(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [SMALL, "fasterrcnn_resnet50_fpn_v2", "retinanet_resnet50_fpn"])
def test_the_plain_recipe_is_the_detector_as_it_is_and_the_space_holds_its_pyramid(name: str) -> None:
    backbone = backbones.resolve(name)
    found = own(name)
    space = Space(
        backbone.pretrained("none", (128, 128)),
        {"detector": detector.Range(), "pyramid_levels": pyramid_levels.Range()},
        "detection",
    )
    plain = space.values(space.baseline())
    assert plain["detector"] == found.kind
    assert plain["pyramid_levels"] == pyramid_levels.Levels(found.finest, found.extra)
    if found.linear:
        assert plain["box_head"] == box_head.BoxHead(1024, len(found.linear))
        assert plain["proposals"] == found.proposals
    assert "plain recipe" in space.words(space.baseline())
    for seed in range(6):  # whatever the kind is, what does not matter to it is as the space has it
        candidate = space.sample(Random(seed))
        assert space.params(candidate) is not None


def test_decisions_of_box_heads_keep_the_detectors_own_where_they_do_not_matter() -> None:
    chain = backbones.resolve("fasterrcnn_resnet50_fpn_v2").describe((128, 128))
    plain = box_head.decision.baseline(chain)
    dense = detector.decision.apply(chain, "retinanet")
    assert box_head.decision.settle(box_head.BoxHead(256, 3), dense) == plain
    assert box_head.decision.words(plain, dense) == ""
    small = backbones.resolve(SMALL).describe((128, 128))
    assert proposals.decision.baseline(small) == 150
    assert proposals.decision.settle(300, detector.decision.apply(small, "fcos")) == 150
