"""One label an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.functional.classification import multiclass_confusion_matrix

from search.records.study import ClassResult, Evaluation, Mistake
from search.tasks._base import Evaluator, Task
from search.tasks._calibration import expected_calibration_error
from search.tasks._prediction import ScoredLabel
from spaces.heads import Features, HeadChoice, vector_head

_MISTAKES = 24
"""The most confident ones are kept with a trial, for its page."""


class ClassificationMeter(Evaluator):
    """Confusion matrix and loss of a validation pass."""

    def __init__(self, classes: tuple[str, ...], device: torch.device) -> None:
        self._classes = classes
        self._confusion = torch.zeros(len(classes), len(classes), dtype=torch.int64, device=device)
        self._loss = torch.zeros((), dtype=torch.float64, device=device)
        self._seen = 0
        self._sure: list[Tensor] = []
        self._right: list[Tensor] = []
        # By column: confidence, place in the split, true class, predicted class; rows without a mistake stand at -1.
        self._mistakes = torch.full((_MISTAKES, 4), -1.0, dtype=torch.float64, device=device)

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        self._collect(outputs, targets)
        self._confusion += multiclass_confusion_matrix(
            outputs.argmax(dim=1), targets, len(self._classes), validate_args=False
        )
        self._loss += F.cross_entropy(outputs, targets, reduction="sum").double()

    def _collect(self, outputs: Tensor, targets: Tensor) -> None:
        """Keep the most confident mistakes so far, on the device and without waiting for it."""
        confidence, predicted = outputs.softmax(dim=1).max(dim=1)
        places = torch.arange(self._seen, self._seen + len(targets), device=targets.device)
        self._sure.append(confidence)
        self._right.append(predicted == targets)
        wrong = torch.where(predicted == targets, torch.full_like(confidence, -1.0), confidence)
        rows = torch.stack([column.double() for column in (wrong, places, targets, predicted)], dim=1)
        merged = torch.cat([self._mistakes, rows])
        self._mistakes = merged[merged[:, 0].argsort(descending=True, stable=True)[:_MISTAKES]]
        self._seen += len(targets)

    def _confidences(self) -> tuple[Tensor, Tensor]:
        if not self._sure:
            return torch.zeros(0), torch.zeros(0)
        return torch.cat(self._sure).cpu(), torch.cat(self._right).cpu()

    def compute(self) -> Mapping[str, float]:
        matrix = self._confusion.double().cpu()
        support, hits = matrix.sum(dim=1), matrix.diag()
        present = support > 0
        total = support.sum().clamp(min=1)
        recall = hits[present] / support[present]
        f1 = _f1(matrix)[present | (matrix.sum(dim=0) > 0)]
        return {
            "accuracy": float(hits.sum() / total),
            "balanced_accuracy": float(recall.mean()) if len(recall) else 0.0,
            "macro_f1": float(f1.mean()) if len(f1) else 0.0,
            "loss": float(self._loss.cpu() / total),
            "calibration_error": expected_calibration_error(*self._confidences()),
        }

    def evaluation(self) -> Evaluation:
        matrix = self._confusion.double().cpu()
        support, predicted, hits = matrix.sum(dim=1), matrix.sum(dim=0), matrix.diag()
        rows = torch.stack([hits / predicted.clamp(min=1), hits / support.clamp(min=1), _f1(matrix)], dim=1).tolist()
        results = tuple(
            ClassResult(name, precision, recall, f1, int(count))
            for name, (precision, recall, f1), count in zip(self._classes, rows, support.tolist(), strict=True)
        )
        mistakes = tuple(
            Mistake(int(place), self._classes[int(true)], self._classes[int(predicted)], round(confidence, 4))
            for confidence, place, true, predicted in self._mistakes.cpu().tolist()
            if confidence >= 0
        )
        return Evaluation(results, tuple(tuple(row) for row in self._confusion.cpu().tolist()), mistakes)


def _f1(matrix: Tensor) -> Tensor:
    """Return the F1 of every class; 0 for one that is neither there nor predicted."""
    return 2 * matrix.diag() / (matrix.sum(dim=0) + matrix.sum(dim=1)).clamp(min=1)


class Classification(Task):
    """Cross-entropy over classes; accuracy, balanced accuracy (mean recall), macro F1."""

    name = "classification"
    formats = ("image_folder", "csv", "torchvision", "digits")
    mixes = stacks = quantises = True
    hub_task = "image-classification"
    directions: ClassVar[Mapping[str, bool]] = {
        "accuracy": True,
        "balanced_accuracy": True,
        "macro_f1": True,
        "loss": False,
        "calibration_error": False,
    }

    def head(
        self, features: Features, classes: int, choice: HeadChoice, decided: Mapping[str, Any] | None = None
    ) -> nn.Module:
        return vector_head(features, classes, choice)

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        return F.cross_entropy(outputs, targets, label_smoothing=label_smoothing)

    def evaluator(self, classes: tuple[str, ...], device: torch.device) -> ClassificationMeter:
        return ClassificationMeter(classes, device)

    def answers(
        self, outputs: Any, classes: tuple[str, ...], most: int, temperature: float = 1.0
    ) -> list[tuple[ScoredLabel, ...]]:
        return likeliest(outputs, classes, most, temperature)


def likeliest(
    outputs: Tensor, classes: tuple[str, ...], most: int, temperature: float
) -> list[tuple[ScoredLabel, ...]]:
    """Return the classes of the largest outputs ``(N, classes)`` of every input, each with its probability."""
    scores, places = (outputs.float() / temperature).softmax(dim=1).topk(min(most, len(classes)), dim=1)
    return [
        tuple(ScoredLabel(classes[place], score) for score, place in zip(*row, strict=True))
        for row in zip(scores.tolist(), places.tolist(), strict=True)
    ]


task = Classification()
