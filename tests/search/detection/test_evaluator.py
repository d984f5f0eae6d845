from __future__ import annotations

import io
from contextlib import redirect_stdout

import pytest
import torch
from torch import Tensor

from search.detection.detectors import Detections
from search.detection.evaluator import CocoMeasures
from search.detection.targets import BoxRows

CLASSES = ("ant", "bee", "cow", "never")


def stored(images: int = 30) -> tuple[list[dict[str, Tensor]], BoxRows]:
    """Predictions that wander off the truth, some of them twice, some of another class; the last class is nowhere."""
    random = torch.Generator().manual_seed(3)
    counts = torch.randint(0, 6, (images,), generator=random).tolist()
    boxes, labels = torch.zeros(images, 6, 4), torch.full((images, 6), -1)
    crowd = torch.zeros(images, 6, dtype=torch.bool)
    told = []
    for place, count in enumerate(counts):
        corner = torch.rand(count, 2, generator=random) * 0.7
        side = 0.05 + torch.rand(count, 2, generator=random) * 0.25
        true = torch.cat([corner, corner + side], dim=1)
        kinds = torch.randint(0, 3, (count,), generator=random)
        boxes[place, :count], labels[place, :count] = true, kinds
        crowd[place, :count] = torch.rand(count, generator=random) < 0.1
        moved = true.repeat(2, 1) + 0.02 * torch.randn(2 * count, 4, generator=random)
        moved = moved.clamp(0, 0.98)
        moved[:, 2:] = torch.maximum(moved[:, 2:], moved[:, :2] + 0.01)
        wrong = torch.rand(2 * count, generator=random) < 0.2
        scores = torch.rand(2 * count, generator=random)
        told.append(
            {"boxes": moved, "labels": torch.where(wrong, (kinds.repeat(2) + 1) % 3, kinds.repeat(2)), "scores": scores}
        )
    return told, BoxRows(boxes, labels, crowd, torch.tensor([[0.0, 0.0, 1.0, 1.0]]).repeat(images, 1))


def reference(told: list[dict[str, Tensor]], rows: BoxRows) -> tuple[list[float], dict[int, list[float]]]:
    """Return COCO's own numbers: of all classes, and of each."""
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")

    def plain(box: Tensor) -> list[float]:
        x0, y0, x1, y1 = (1000 * box).tolist()
        return [x0, y0, x1 - x0, y1 - y0]

    true = [
        {
            "id": place * 100 + number + 1,
            "image_id": place,
            "category_id": int(label),
            "bbox": plain(box),
            "area": plain(box)[2] * plain(box)[3],
            "iscrowd": int(crowd),
        }
        for place in range(len(rows))
        for number, (box, label, crowd) in enumerate(
            zip(rows.boxes[place], rows.labels[place], rows.crowd[place], strict=True)
        )
        if label >= 0
    ]
    said = [
        {"image_id": place, "category_id": int(label), "bbox": plain(box), "score": float(score)}
        for place, one in enumerate(told)
        for box, label, score in zip(one["boxes"], one["labels"], one["scores"], strict=True)
    ]
    with redirect_stdout(io.StringIO()):
        data = coco.COCO()
        data.dataset = {
            "images": [{"id": place} for place in range(len(rows))],
            "annotations": true,
            "categories": [{"id": place} for place in range(3)],
        }
        data.createIndex()
        run = evaluation.COCOeval(data, data.loadRes(said), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    precision, recall = run.eval["precision"], run.eval["recall"]
    by_class = {
        place: [
            precision[:, :, place, 0, -1].mean(),
            precision[0, :, place, 0, -1].mean(),
            recall[:, place, 0, -1].mean(),
        ]
        for place in range(3)
    }
    return [float(run.stats[place]) for place in (0, 1, 2, 8)], by_class


def filled(told: list[dict[str, Tensor]], rows: BoxRows) -> CocoMeasures:
    evaluator = CocoMeasures(CLASSES, 0.5)
    for part in (slice(0, 7), slice(7, len(rows))):
        evaluator.update(Detections(tuple(told[part])), rows[part])
    return evaluator


def test_the_measures_are_those_of_pycocotools() -> None:
    told, rows = stored()
    whole, by_class = reference(told, rows)
    evaluator = filled(told, rows)
    assert 0.05 < whole[0] < 0.95
    assert [evaluator.compute()[name] for name in ("map", "map_50", "map_75", "mar_100")] == pytest.approx(
        whole, abs=1e-6
    )
    measured = evaluator.evaluation().measured
    for place in range(3):
        assert list(measured[place].values.values()) == pytest.approx(by_class[place], abs=1e-6)
        assert measured[place].support == int(((rows.labels == place) & ~rows.crowd).sum())
    assert (measured[3].values, measured[3].support) == ({}, 0)


def test_pictures_are_the_images_with_most_mistakes_in_places_of_the_original() -> None:
    shown = torch.tensor([[0.0, -0.5, 1.0, 1.5], [0.0, 0.0, 1.0, 1.0]])
    boxes = torch.tensor([[[0.1, 0.4, 0.3, 0.6]], [[0.1, 0.1, 0.3, 0.3]]])
    rows = BoxRows(boxes, torch.tensor([[0], [1]]), torch.zeros(2, 1, dtype=torch.bool), shown)
    right = {"boxes": boxes[1], "labels": torch.tensor([1]), "scores": torch.tensor([0.9])}
    wrong = {"boxes": boxes[0], "labels": torch.tensor([2]), "scores": torch.tensor([0.8])}
    evaluator = CocoMeasures(CLASSES, 0.5)
    evaluator.update(Detections((wrong, right)), rows)
    (picture,) = evaluator.evaluation().pictures
    assert (picture.place, picture.caption) == (0, "1 box, 1 missed, 1 predicted that are not there")
    true, told = picture.boxes
    assert (true.label, true.left, true.top, true.bottom, true.score) == ("ant", 0.1, 0.3, 0.7, None)
    assert (told.label, told.score) == ("cow", 0.8)


def test_no_predictions_and_no_boxes_are_measured_too() -> None:
    _, rows = stored(4)
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64), "scores": torch.zeros(0)}
    evaluator = CocoMeasures(CLASSES, 0.5)
    evaluator.update(Detections((nothing,) * 4), rows)
    assert set(evaluator.compute().values()) == {0.0}
    empty = CocoMeasures(CLASSES, 0.5)
    empty.update(
        Detections((nothing,) * 4), BoxRows(rows.boxes, torch.full_like(rows.labels, -1), rows.crowd, rows.shown)
    )
    assert empty.compute()["map"] == 0.0
    assert empty.evaluation().pictures == ()
