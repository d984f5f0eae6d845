from __future__ import annotations

import pytest
import torch

from search.detection.average_precision import OVERLAPS, RECALLS, matched, measures


def rows(boxes: list[list[float]], labels: list[int], **more: list[float]) -> dict[str, torch.Tensor]:
    found = {"boxes": torch.tensor(boxes).reshape(-1, 4), "labels": torch.tensor(labels, dtype=torch.int64)}
    return found | {name: torch.tensor(values) for name, values in more.items()}


TOLD = [
    rows([[0, 0, 1, 1], [0, 0, 1, 0.9]], [0, 0], scores=[0.9, 0.8]),
    rows([[0.5, 0.5, 0.9, 0.9]], [0], scores=[0.7]),
]
TRUE = [
    rows([[0, 0, 1, 1]], [0], iscrowd=[0]),
    rows([[0.4, 0.4, 1, 1], [0, 0, 0.2, 0.2]], [0, 0], iscrowd=[1, 0]),
]


def test_the_surest_box_hits_its_double_misses_and_one_in_a_crowd_is_neither() -> None:
    found = matched(TOLD, TRUE, 0)
    assert found.image.tolist() == [0, 0, 1]
    assert found.hit.tolist() == [[True, False, False]] * 10
    assert found.miss.tolist() == [[False, True, False]] * 10
    assert found.true.tolist() == [1, 1]


def test_measures_by_hand() -> None:
    precision, recall = measures(
        matched(TOLD, TRUE, 0), torch.tensor([[1.0, 1.0], [3.0, 1.0], [1.0, 0.0], [0.0, 0.0]]).double()
    )
    # Half of the true boxes are found at precision 1: 51 of 101 recalls; three of four are 76.
    assert precision[:3, 0].tolist() == pytest.approx([51 / 101, 76 / 101, 1.0])
    assert recall[:3, 9].tolist() == pytest.approx([0.5, 0.75, 1.0])
    assert precision[3].isnan().all()


def test_a_class_that_is_never_predicted_has_no_precision() -> None:
    precision, recall = measures(matched([rows([], [], scores=[])], [TRUE[0]], 0), torch.ones(1, 1).double())
    assert precision.tolist() == recall.tolist() == [[0.0] * 10]


def test_thresholds_are_cocos() -> None:
    coco = pytest.importorskip("pycocotools.cocoeval").Params("bbox")
    assert (coco.iouThrs == OVERLAPS.numpy()).all()
    assert (coco.recThrs == RECALLS.numpy()).all()
