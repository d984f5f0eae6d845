"""COCO's metrics of a validation pass, and its worst images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_iou

from search.data.transfer import fetched
from search.detection.average_precision import OVERLAPS, RECALLS, Matches, matched, measures
from search.detection.detectors import DETECTIONS, Detections
from search.detection.results import in_image
from search.detection.targets import PADDING, BoxRows
from search.errors import UserError
from search.records.study import Box, Evaluation, Measured, Picture

_PICTURES = 24
_OVERLAP = 0.5
_SIDE = 1000.0
"""Boxes are measured in this many steps per side; any number will do, since overlaps are ratios."""


class CocoMeasures:
    """Mean average precision as COCO defines it (https://cocodataset.org/#detection-eval), by faster-coco-eval.

    Boxes are measured as predictions return them: in the original image, clipped at its border, and not in the
    network's input, where a letterbox has bars.

    ``map`` is the mean over overlaps of 0.50 to 0.95, ``map_50`` and ``map_75`` those at one overlap, ``mar_100`` the
    recall with 100 boxes per image. Implements ``search.tasks._base.Evaluator``.
    """

    def __init__(self, classes: tuple[str, ...], least_shown: float) -> None:
        self._classes = classes
        self._least_shown = least_shown
        self._predicted: list[dict[str, Tensor]] = []
        self._true: list[dict[str, Tensor]] = []
        self._shown: list[Tensor] = []
        self._counted = 0
        self._results: dict[str, Any] | None = None
        self._matches: list[Matches] | None = None

    def update(self, outputs: Detections, targets: BoxRows) -> None:
        self._results = self._matches = None
        self._predicted += [dict(one) for one in outputs.images]
        for boxes, labels, crowd in zip(targets.boxes, targets.labels, targets.crowd, strict=True):
            self._true.append({"boxes": boxes, "labels": labels, "iscrowd": crowd.long()})
        self._shown += list(targets.shown)

    def compute(self) -> Mapping[str, float]:
        measured = self._measured()
        return {name: max(float(measured[name]), 0.0) for name in ("map", "map_50", "map_75", "mar_100")}

    def evaluation(self) -> Evaluation:
        results = self._measured()
        numbers = [int(number) for number in torch.as_tensor(results["classes"]).reshape(-1).tolist()]
        counts = torch.cat([one["labels"][one["iscrowd"] == 0] for one in self._true] or [torch.zeros(0)]).tolist()
        measured = []
        for number, name in enumerate(self._classes):
            values = _by_class(results, numbers.index(number)) if number in numbers else {}
            measured.append(Measured(name, values, counts.count(number)))
        return Evaluation(measured=tuple(measured), pictures=self._pictures())

    @property
    def samples(self) -> int:
        return len(self._shown)

    def resampled(self, metric: str, weights: Tensor) -> Tensor:
        """Return a metric ``(R,)`` with every image counted ``weights`` ``(R, images)`` times."""
        self._place()
        if self._matches is None:
            self._matches = [matched(self._predicted, self._true, label) for label in range(len(self._classes))]
        values = [measures(one, weights) for one in self._matches]
        kept = torch.stack([recall if metric == "mar_100" else precision for precision, recall in values], dim=2)
        part = {"map_50": slice(0, 1), "map_75": slice(5, 6)}.get(metric, slice(None))
        return kept[:, part].flatten(1).nanmean(dim=1).nan_to_num(0.0)

    def _measured(self) -> dict[str, Any]:
        if self._results is None:
            self._place()
            metric = _metric()
            metric.update(
                [{**one, "boxes": one["boxes"] * _SIDE} for one in self._predicted],
                [{**one, "boxes": one["boxes"] * _SIDE} for one in self._true],
            )
            self._results = dict(metric.compute())
        return self._results

    def _place(self) -> None:
        """Move new boxes to the host, and into their original images."""
        new = range(self._counted, len(self._shown))
        kinds = {"predicted": self._predicted, "true": self._true}
        there = fetched(
            {f"{index}.shown": self._shown[index] for index in new}
            | {f"{index}.{kind}.{name}": value for kind, rows in kinds.items() for index in new
               for name, value in rows[index].items()}
        )  # fmt: skip
        for index in new:
            for kind, rows in kinds.items():
                own = {name: there[f"{index}.{kind}.{name}"] for name in rows[index]}
                real = own["labels"] != PADDING
                own = {name: value[real] for name, value in own.items()}
                rows[index] = in_image(own, there[f"{index}.shown"])
        self._counted = len(self._shown)

    def _pictures(self) -> tuple[Picture, ...]:
        """Return the images with the most mistakes among confident boxes."""
        scored: list[tuple[int, int, int, int, dict[str, Tensor], dict[str, Tensor]]] = []
        for index, (predicted, true) in enumerate(zip(self._predicted, self._true, strict=True)):
            sure = predicted["scores"] >= self._least_shown
            kept = {name: predicted[name][sure] for name in ("boxes", "scores", "labels")}
            real = {name: true[name][true["iscrowd"] == 0] for name in ("boxes", "labels")}
            hits = _hits(kept, real)
            missed, wrong = len(real["labels"]) - hits, len(kept["labels"]) - hits
            if missed or wrong:
                scored.append((missed + wrong, index, missed, wrong, kept, real))
        scored.sort(key=lambda row: (-row[0], row[1]))
        pictures = []
        for _, index, missed, wrong, kept, real in scored[:_PICTURES]:
            count = len(real["labels"])
            caption = f"{count} box{'es' if count != 1 else ''}, {missed} missed, {wrong} predicted that are not there"
            boxes = (*self._boxes(real), *self._boxes(kept))
            pictures.append(Picture(index, caption, boxes))
        return tuple(pictures)

    def _boxes(self, rows: Mapping[str, Tensor]) -> list[Box]:
        scores = rows["scores"].tolist() if "scores" in rows else [None] * len(rows["labels"])
        labels = [self._classes[label] for label in rows["labels"].tolist()]
        sides = [[round(side, 4) for side in one] for one in rows["boxes"].tolist()]
        return [
            Box(left, top, right, bottom, label, None if score is None else round(score, 3))
            for (left, top, right, bottom), label, score in zip(sides, labels, scores, strict=True)
        ]


def _metric() -> Any:
    try:
        import faster_coco_eval  # noqa: F401, PLC0415  # torchmetrics' own message names another package
        from torchmetrics.detection import MeanAveragePrecision  # noqa: PLC0415
    except ImportError as error:
        raise UserError("detection needs faster-coco-eval: pip install 'ftsearch[coco]'") from error
    metric = MeanAveragePrecision(
        backend="faster_coco_eval",
        extended_summary=True,
        # The library's own are rounded to float32.
        iou_thresholds=OVERLAPS.tolist(),
        rec_thresholds=RECALLS.tolist(),
        max_detection_thresholds=[1, 10, DETECTIONS],
    )
    metric.warn_on_many_detections = False
    return metric


def _by_class(measured: Mapping[str, Any], place: int) -> dict[str, float]:
    """Return the metrics of one class; ``precision`` is ``(overlaps, recalls, classes, areas, limits)``."""
    precision, recall = torch.as_tensor(measured["precision"]), torch.as_tensor(measured["recall"])
    whole, half, recalled = precision[:, :, place, 0, -1], precision[0, :, place, 0, -1], recall[:, place, 0, -1]
    named = (("average_precision", whole), ("average_precision_50", half), ("average_recall", recalled))
    return {name: float(values[values > -1].mean()) for name, values in named if (values > -1).any()}


def _hits(predicted: Mapping[str, Tensor], true: Mapping[str, Tensor]) -> int:
    """Return the number of true boxes found: most confident first, one to one, overlapping by half, class equal."""
    if not len(predicted["labels"]) or not len(true["labels"]):
        return 0
    overlaps = box_iou(predicted["boxes"], true["boxes"])
    overlaps[predicted["labels"][:, None] != true["labels"][None]] = 0
    hits = 0
    for index in predicted["scores"].argsort(descending=True).tolist():
        best = int(overlaps[index].argmax())
        if overlaps[index, best] >= _OVERLAP:
            overlaps[:, best] = 0
            hits += 1
    return hits
