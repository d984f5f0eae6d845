from __future__ import annotations

import json
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from by_path import module_at
from PIL import Image
from torch import nn
from torchvision import models
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from transformers import RTDetrImageProcessor

from search.data.sample import Split
from search.detection.detectors import Fcos
from search.detection.inheritance import fitting_classes, words
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import parse_spec
from spaces.candidate import Candidate
from spaces.detector import pretrained_detector
from spaces.networks.build import Network

SMALL = "fasterrcnn_mobilenet_v3_large_320_fpn"
SIDE = 128
NAMES = ("person", "cat", "rocket")
PUBLISHED = module_at("shared/published_detectors.py")
with_queries = pytest.mark.parametrize("kind", ["rtdetr", "dfine"])


def detector(name: str, outputs: int) -> nn.Module:
    """Return one of torchvision's detectors with random weights that find something: norms have seen data."""
    torch.manual_seed(3)
    network: nn.Module = models.get_model(name, weights=None, weights_backbone=None, num_classes=outputs)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
                layer.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
        for path in ("roi_heads.box_predictor.cls_score", "head.classification_head.cls_logits"):
            if path in dict(network.named_modules()):
                network.get_submodule(path).weight.normal_(0, 0.05)  # type: ignore[operator, union-attr]
    return network.eval()


def opened(folder: Path, name: str, weights: str) -> StudyRuntime:
    images, boxes = [], []
    for number in range(4):
        Image.fromarray(np.full((SIDE, SIDE, 3), 40 * number, np.uint8)).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": SIDE, "height": SIDE})
        for place in range(len(NAMES)):
            own = {"id": len(boxes) + 1, "image_id": number, "category_id": place, "iscrowd": 0}
            boxes.append({**own, "bbox": [20 * place, 10, 30, 40], "area": 1200})
    categories = [{"id": place, "name": label} for place, label in enumerate(NAMES)]
    (folder / "boxes.json").write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    text = (
        f"name: x\ntask: detection\ndata: {{path: boxes.json, val_share: 0.5}}\nbackbone: {name}\n"
        f"weights: {weights}\ninput_size: {SIDE}\nspace: {{freeze: {{}}}}\n"
        "training: {augmentation: none, precision: float32}\ndetection: {least_score: 0.001}\n"
    )
    return open_runtime(parse_spec(text, base=folder), "cpu")


def changed(runtime: StudyRuntime, **structure: Any) -> Network:
    plain = runtime.space.baseline()
    choices = {**plain.structure.choices, **structure}
    return runtime.build(Candidate(replace(plain.structure, choices=choices), plain.recipe), 0).eval()


def as_ours(network: Any) -> Any:
    """Give torchvision's network the thresholds of a study, and images as they are."""
    network.transform = GeneralizedRCNNTransform(SIDE, SIDE, [0.0] * 3, [1.0] * 3)
    told = network.roi_heads if hasattr(network, "roi_heads") else network
    told.score_thresh, told.nms_thresh = 0.001, 0.5
    told.detections_per_img = 100
    return network


def check_same(folder: Path, name: str, outputs: int) -> None:
    """The plain recipe on a detector's weights predicts exactly torchvision's boxes, scores and classes."""
    network = as_ours(detector(name, outputs))
    torch.save(network.state_dict(), folder / "weights.pth")
    ours = changed(opened(folder, name, "./weights.pth"))
    images = torch.rand(2, 3, SIDE, SIDE)
    with torch.no_grad():
        expected, found = network(list(images)), ours(images).images
    first = 1 if outputs == len(NAMES) + 1 else 0
    for theirs, mine in zip(expected, found, strict=True):
        assert len(theirs["scores"]) > 5
        kept = theirs["labels"] >= first  # torchvision's one-stage detectors may tell the unused output 0
        torch.testing.assert_close(mine["scores"], theirs["scores"][kept][: len(mine["scores"])], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(mine["boxes"] * SIDE, theirs["boxes"][kept], atol=1e-2, rtol=1e-4)
        assert torch.equal(mine["labels"] + first, theirs["labels"][kept])


@pytest.mark.parametrize(("name", "outputs"), [(SMALL, 4), ("retinanet_resnet50_fpn_v2", 3), ("fcos_resnet50_fpn", 3)])
def test_nothing_changed_is_torchvisions_own_detector(tmp_path: Path, name: str, outputs: int) -> None:
    check_same(tmp_path, name, outputs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        *(("fasterrcnn_resnet50_fpn", 4), ("fasterrcnn_resnet50_fpn_v2", 4), ("retinanet_resnet50_fpn", 3)),
        ("fasterrcnn_mobilenet_v3_large_fpn", 4),
    ],
)
def test_so_are_the_others(tmp_path: Path, name: str, outputs: int) -> None:
    check_same(tmp_path, name, outputs)


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyRuntime, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("coco")
    network = detector(SMALL, 91)
    torch.save(network.state_dict(), folder / "weights.pth")
    return opened(folder, SMALL, "./weights.pth"), network.state_dict()


def test_outputs_of_classes_are_taken_by_name_and_the_others_are_fresh(coco: tuple[StudyRuntime, Any]) -> None:
    runtime, theirs = coco
    mine = changed(runtime).head.state_dict()
    scores, boxes = (f"roi_heads.box_predictor.{layer}.weight" for layer in ("cls_score", "bbox_pred"))
    for own, given in ((0, 0), (1, 1), (2, 17)):  # background, person, cat
        assert torch.equal(mine[scores][own], theirs[scores][given])
        assert torch.equal(mine[boxes][4 * own : 4 * own + 4], theirs[boxes][4 * given : 4 * given + 4])
    assert not (mine[scores][3][None] == theirs[scores]).all(dim=1).any()
    assert "person, cat" in runtime.task.advice()[-1]
    assert "other 1 classes start fresh" in runtime.task.advice()[-1]


def test_what_does_not_fit_starts_fresh_and_what_does_is_taken(coco: tuple[StudyRuntime, Any]) -> None:
    runtime, theirs = coco
    linear, rpn = "roi_heads.box_head.1.weight", "rpn.head.conv.0.0.weight"
    inner = "fpn.inner_blocks.0.0.weight"
    narrow = changed(runtime, box_head={"width": 256, "depth": 2}).head.state_dict()
    assert torch.equal(narrow[rpn], theirs[rpn])
    assert torch.equal(narrow[f"pyramid.{inner}"], theirs[f"backbone.{inner}"])
    assert narrow[linear].shape[0] == 256
    fewer = changed(runtime, anchors={"source": "usual", "scale": 1.0, "ratios": "one"}).head.state_dict()
    assert torch.equal(fewer[linear], theirs["roi_heads.box_head.fc6.weight"])
    assert fewer["rpn.head.cls_logits.weight"].shape[0] == 5
    other = changed(runtime, pyramid_width=64).head.state_dict()
    scores = "roi_heads.box_predictor.cls_score.weight"  # of the same shape, but behind another pyramid
    assert not torch.equal(other[scores][0], theirs[scores][0])
    dense = changed(runtime, detector="fcos").head.state_dict()
    assert torch.equal(dense[f"pyramid.{inner}"], theirs[f"backbone.{inner}"])


def test_a_finer_pyramid_takes_the_levels_that_both_have(coco: tuple[StudyRuntime, Any]) -> None:
    runtime, theirs = coco
    mine = changed(runtime, pyramid_levels={"finest": 8, "extra": 1}).head
    names = [name for name, _ in mine.pyramid.fpn.named_parameters() if name.startswith("inner_blocks.2.")]  # type: ignore[union-attr]
    assert names
    own = {name: value for name, value in mine.pyramid.fpn.state_dict().items() if name in names}  # type: ignore[union-attr]
    for name, value in own.items():  # 8, 16, 32: the last is attached to the unit of the detector's second level
        assert torch.equal(value, theirs[f"backbone.fpn.{name.replace('inner_blocks.2', 'inner_blocks.1')}"])


def test_a_trained_model_is_made_again_from_its_own_weights_alone(coco: tuple[StudyRuntime, Any]) -> None:
    runtime, _ = coco
    network = changed(runtime)
    facts = json.loads(json.dumps(dict(runtime.task.facts())))
    again = replace(runtime, task=runtime.task.restore(runtime.task.chosen, facts))
    plain = again.build(runtime.space.baseline(), 1)
    plain.load_state_dict(network.state_dict())


def test_classes_are_matched_by_name_or_taken_as_they_are() -> None:
    own = ("__background__", "person", "traffic light", "N/A")
    found = fitting_classes(4, own, ("Traffic_Light", "N/A", "person"), background=True)
    assert found == {0: 2, 2: 1}
    assert fitting_classes(3, (), ("a", "b"), background=True) == {0: 1, 1: 2}
    assert fitting_classes(2, (), ("a", "b"), background=False) == {0: 0, 1: 1}
    assert fitting_classes(2, (), ("a", "b"), background=True) == {}
    assert fitting_classes(9, (), ("a", "b"), background=False) == {}


def test_without_weights_everything_starts_fresh(coco: tuple[StudyRuntime, Any]) -> None:
    own = pretrained_detector(coco[0].pretrained.chain.facts)
    assert own is not None
    assert "start fresh" in words(replace(own, weights={}), NAMES)


@pytest.mark.parametrize("name", [SMALL, "fasterrcnn_resnet50_fpn_v2", "retinanet_resnet50_fpn_v2"])
def test_a_detector_that_was_taken_over_learns(tmp_path: Path, name: str) -> None:
    runtime = opened(tmp_path, name, "none")
    network = runtime.build(runtime.space.baseline(), 0)
    images, targets = next(iter(runtime.batches(Split.TRAIN).epoch(1)))
    loss = runtime.task.loss(network(images), targets)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(parameter.grad is not None for parameter in network.parameters() if parameter.requires_grad)


def published(folder: Path, kind: str) -> tuple[StudyRuntime, Any]:
    """Return the runtime of a study on a published detector with queries, and that detector."""
    network = PUBLISHED.published(kind, folder / "published")
    return opened(folder, "transformers_detection:./published", "default"), network


@with_queries
def test_nothing_changed_is_the_published_detector(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its four classes are those of the data: pixels give exactly the library's boxes, scores and classes."""
    monkeypatch.chdir(tmp_path)
    runtime, network = published(tmp_path, kind)
    task = copy(runtime.task)
    task._classes = PUBLISHED.CLASSES  # type: ignore[attr-defined]
    runtime = replace(runtime, task=task, dataset=replace(runtime.dataset, classes=PUBLISHED.CLASSES))
    ours = changed(runtime)
    images = torch.rand(2, 3, SIDE, SIDE)
    with torch.no_grad():
        found, whole = ours(images).images, network(images)
    expected = RTDetrImageProcessor().post_process_object_detection(whole, threshold=0.001)
    for mine, theirs in zip(found, expected, strict=True):
        assert len(mine["scores"]) > 10
        torch.testing.assert_close(mine["scores"], theirs["scores"], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(mine["boxes"], theirs["boxes"].clamp(0, 1), atol=1e-5, rtol=1e-4)
        assert torch.equal(mine["labels"], theirs["labels"])


@with_queries
def test_what_fits_of_a_detector_with_queries_is_taken(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runtime, network = published(tmp_path, kind)
    theirs = network.state_dict()
    plain = runtime.space.baseline().structure.choices
    assert (plain["detector"], plain["pyramid_width"], plain["decoder_layers"], plain["queries"]) == (kind, 64, 3, 25)
    mine = changed(runtime).head.model.state_dict()  # type: ignore[union-attr]
    classes = "model.decoder.class_embed.2.weight"
    assert torch.equal(mine[classes][:2], theirs[classes][:2])  # person and cat; a rocket is not known
    assert not torch.equal(mine[classes][2], theirs[classes][2])
    last = "model.decoder.layers.1.self_attn.q_proj.weight"
    shallow = changed(runtime, decoder_layers=2, queries=10).head.model.state_dict()  # type: ignore[union-attr]
    assert torch.equal(shallow[last], theirs[last])
    deep = changed(runtime, decoder_layers=4).head.model.state_dict()  # type: ignore[union-attr]
    assert torch.equal(deep[last], theirs[last])
    for other in ({"pyramid_width": 128}, {"pyramid_levels": {"finest": 16, "extra": 0}}):
        fresh = changed(runtime, **other).head.model.state_dict()  # type: ignore[union-attr]
        assert fresh[last].shape != theirs[last].shape or not torch.equal(fresh[last], theirs[last])
    assert isinstance(changed(runtime, detector="fcos").head, Fcos)


@with_queries
def test_gradients_are_only_where_something_may_learn(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runtime, _ = published(tmp_path, kind)
    targets = next(iter(runtime.batches(Split.TRAIN).epoch(1)))[1]
    units = len(runtime.space.chain)
    for freeze, where in ((units, "none"), (2, "none"), (units, "all")):
        updates = {"where": where, "rank": 2 * (where == "all"), "scale": 1.0}
        network = changed(runtime, freeze=freeze, lora=updates).train()
        before = {name: value.clone() for name, value in network.units.state_dict().items()}
        runtime.task.loss(network(torch.rand(len(targets), 3, SIDE, SIDE)), targets).backward()
        added = {id(parameter) for parameter in network.added()}
        has_gradient = [
            [one.grad is not None for one in unit.parameters() if id(one) not in added] for unit in network.units
        ]
        assert [any(has) for has in has_gradient] == [index >= freeze for index in range(units)]
        assert any(id(one) in added for one in network.units.parameters()) is (where == "all")
        assert all(one.grad is not None for one in network.added() if one.requires_grad)
        after = network.units.state_dict()
        frozen = [name for name in before if int(name.partition(".")[0]) < freeze]
        assert all(torch.equal(before[name], after[name]) for name in frozen)


def test_what_candidates_may_start_from_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runtime, _ = published(tmp_path, "dfine")
    assert runtime.task.advice()[-1] == (
        "an encoder of 64 channels from stride 8, and a decoder start from the pretrained D-FINE's, of the same kind; "
        "outputs that it has: person, cat; those of the other 1 classes start fresh"
    )
