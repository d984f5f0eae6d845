from __future__ import annotations

import pytest
import torch

from search.detection.detectors import Detections
from search.detection.results import apart, found_in, in_image
from search.detection.targets import frame_of
from search.errors import UserError


def rows(boxes: list[list[float]], scores: list[float], labels: list[int]) -> dict[str, torch.Tensor]:
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "scores": torch.tensor(scores),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }


ONE = rows([[0.1, 0.1, 0.3, 0.4], [0.5, 0.5, 0.9, 0.9]], [0.9, 0.4], [0, 1])


def test_the_same_boxes_in_another_order_are_the_same() -> None:
    turned = {name: value.flip(0) for name, value in ONE.items()}
    assert apart(turned, ONE) == (0.0, 0)


def test_what_moved_is_measured_and_what_is_missing_or_more_is_counted() -> None:
    moved = {**ONE, "boxes": ONE["boxes"] + 0.001}
    found = apart(moved, ONE)
    assert found.largest == pytest.approx(0.001, abs=1e-6)
    assert found.lost == 0
    assert apart({**ONE, "labels": torch.tensor([1, 1])}, ONE).lost == 1
    assert apart({**ONE, "scores": torch.tensor([0.9, 0.5])}, ONE).lost == 1
    single = {name: value[:1] for name, value in ONE.items()}
    assert apart(single, ONE).lost == apart(ONE, single).lost == 1
    assert apart(rows([], [], []), ONE).lost == 2
    assert apart(rows([], [], []), rows([], [], [])) == (0.0, 0)


def test_boxes_of_a_graph_lose_the_places_without_one() -> None:
    found = found_in((ONE["boxes"][None], torch.tensor([[0.9, 0.0]]), ONE["labels"][None]))
    assert isinstance(found, Detections)
    assert found.images[0]["scores"].tolist() == pytest.approx([0.9])
    assert found.images[0]["labels"].tolist() == [0]


def test_anything_else_is_refused() -> None:
    with pytest.raises(UserError, match="expected boxes, scores and labels from a detector, got Tensor"):
        found_in(torch.zeros(3, 4))


@pytest.mark.parametrize(("width", "height"), [(640, 480), (100, 300), (64, 64)])
@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
def test_boxes_find_back_to_the_original(fit: str, width: int, height: int) -> None:
    shown = frame_of(fit, (96, 128), "bilinear").shown(width, height)
    original = torch.tensor([[10.0, 20.0, 60.0, 50.0]]) / torch.tensor([width, height, width, height])
    part = torch.tensor(shown)
    inside = (original - part[[0, 1, 0, 1]]) / (part[2:] - part[:2]).repeat(2)
    labels = torch.tensor([3])
    found = in_image({"boxes": inside, "labels": labels}, shown)
    assert torch.allclose(found["boxes"], original, atol=1e-5)
    assert found["labels"].tolist() == [3]
    beyond = in_image({"boxes": torch.tensor([[-1.0, -1.0, 3.0, 3.0]])}, shown)
    assert beyond["boxes"].tolist() == [[0.0, 0.0, 1.0, 1.0]]


def test_boxes_in_a_letterbox_s_bars_are_none() -> None:
    shown = frame_of("letterbox", (100, 100), "bilinear").shown(100, 50)  # bars above 0.25 and below 0.75
    boxes = torch.tensor([[0.1, 0.0, 0.3, 0.2], [0.1, 0.1, 0.3, 0.5], [0.1, 0.8, 0.2, 0.9]])
    found = in_image({"boxes": boxes, "scores": torch.tensor([0.9, 0.8, 0.7])}, torch.tensor(shown))
    assert torch.allclose(found["boxes"], torch.tensor([[0.1, 0.0, 0.3, 0.5]]), atol=1e-6)
    assert found["scores"].tolist() == pytest.approx([0.8])
