from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from search.detection.detectors import DetectorSettings
from search.detection.exportable import exportable
from search.detection.kinds import KINDS
from search.detection.results import apart, found_in
from search.errors import RunError
from search.model.formats import model_format
from search.model.formats._base import Signature
from spaces.heads import Tap

TAPS = (Tap(0, "a", 8, (8, 8, 12)), Tap(1, "b", 16, (16, 4, 6)))
OUTPUTS = Signature(outputs=("boxes", "scores", "labels"))


class Detecting(nn.Module):
    """Two convolutions that are tapped, and a detector with random weights that predicts many boxes."""

    input_shape = (3, 64, 96)

    def __init__(self, kind: str, classes: int = 3, proposals: int = 60) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 8, stride=8)
        self.next = nn.Conv2d(8, 16, 2, stride=2)
        sizes = ((8.0,), (16.0,), (32.0,)) if kind == "fcos" else ((16.0,), (32.0,), (64.0,))
        setting = DetectorSettings(
            classes=classes,
            size=(64, 96),
            channels=64,
            extra=1,
            sizes=sizes,
            ratios=(0.5, 1.0, 2.0),
            width=32,
            depth=2,
            proposals=proposals,
            samples=16,
            queries=60,
            least_score=0.001,
        )
        self.head = KINDS[kind](TAPS, setting, 0.0)
        for parameter in self.head.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.08)
        self.eval()

    def before_head(self, inputs: Tensor) -> Sequence[Tensor]:
        first = self.stem(inputs)
        return first, self.next(first.relu())

    def forward(self, inputs: Tensor) -> object:
        return self.head(self.before_head(inputs))


def images(count: int) -> Tensor:
    return torch.randn(count, 3, 64, 96, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [1, 3])
def test_the_boxes_are_those_of_torchvisions_detector(kind: str, classes: int) -> None:
    network = Detecting(kind, classes)
    with torch.inference_mode():
        expected = found_in(network(images(5)))
        boxes, scores, labels = exportable(network)(images(5))
    assert boxes.shape == (5, scores.shape[1], 4)
    assert (scores.diff(dim=1) <= 0).all()
    assert labels.dtype == torch.int64
    told = found_in((boxes, scores, labels))
    assert sum(len(one["scores"]) for one in expected.images) > 50
    for one, other in zip(told.images, expected.images, strict=True):
        found = apart(one, other)
        assert len(one["scores"]) == len(other["scores"])
        assert found.lost == 0
        assert found.largest < 1e-4


def blind(kind: str) -> Detecting:
    """Return a detector that finds nothing but in very bright images."""
    network = Detecting(kind)
    for name, parameter in network.named_parameters():
        if any(layer in name for layer in ("cls_logits", "cls_score", "class_embed")):
            nn.init.constant_(parameter, 0.0)
            if parameter.ndim == 1:
                nn.init.constant_(parameter, -30.0)
            if name.endswith("cls_score.bias"):
                parameter.data[0] = 30.0  # the background
    return network


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_without_objects_has_score_0_everywhere(kind: str) -> None:
    graph = exportable(blind(kind))
    with torch.inference_mode():
        assert graph(images(2))[1].max() == 0
        assert all(len(one["scores"]) == 0 for one in found_in(graph(images(2))).images)


def keep_above(head: Any, score: float) -> None:
    """Let a detector find only boxes that are surer."""
    head.setting = replace(head.setting, least_score=score)
    scores = getattr(head, "roi_heads", getattr(head, "model", None))
    if hasattr(scores, "score_thresh"):
        scores.score_thresh = score


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("pt2", "retinanet"),
        ("pt2", "dfine"),
        ("onnx", "rtdetr"),
        ("onnx", "fcos"),
        *(pytest.param("pt2", kind, marks=pytest.mark.slow) for kind in KINDS if kind not in ("retinanet", "dfine")),
        *(pytest.param("onnx", kind, marks=pytest.mark.slow) for kind in KINDS if kind not in ("fcos", "rtdetr")),
    ],
)
def test_a_graph_recorded_on_images_without_boxes_finds_those_of_any_number_of_images(
    kind: str, name: str, tmp_path: Path
) -> None:
    network, known = Detecting(kind), model_format(name)
    with torch.inference_mode():
        surest = exportable(network)(images(6))[1].amax(dim=1).sort()
    low, high = surest.indices[:2], surest.indices[-2:]
    keep_above(network.head, float((surest.values[1] + surest.values[-2]) / 2))
    path = tmp_path / known.file_name
    known.write(exportable(network), images(6)[low], path, {}, OUTPUTS)
    opened = known.open(path, lambda _: nn.Identity())
    with torch.inference_mode():
        for few, are_there in ((low, False), (high, True), (low[:1], False), (torch.arange(6), True)):
            told, expected = found_in(opened(images(6)[few])), found_in(network(images(6)[few]))
            assert any(len(one["scores"]) for one in told.images) is are_there
            gaps = [apart(one, other) for one, other in zip(told.images, expected.images, strict=True)]
            assert sum(gap.lost for gap in gaps) <= 0.01 * sum(len(one["scores"]) for one in expected.images)
            assert max(gap.largest for gap in gaps) < 1e-3


def test_another_detector_is_refused() -> None:
    network = nn.Module()
    network.head = nn.Linear(1, 1)
    with pytest.raises(RunError, match="a Linear has no graph of fixed shapes; export it as safetensors"):
        exportable(network)
