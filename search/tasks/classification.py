"""One label per image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from search.data.transfer import fetched
from search.records.study import ClassResult, Evaluation, Mistake
from search.tasks._base import Evaluator, Task
from search.tasks._bootstrap import by_group, mean_of, share
from search.tasks._calibration import BINS, TEMPERATURES, expected_calibration_error, losses_by_temperature
from search.tasks._linear_probe import Solved, solve_classes
from search.tasks._prediction import ScoredLabel
from spaces.heads import Features, HeadChoice, vector_head

_MISTAKES = 24
"""Number of mistakes, the most confident ones, kept with a trial for its page."""
_AS_IS = TEMPERATURES.index(1.0)


class ClassificationEvaluator(Evaluator):
    """Confusion matrix and loss of a validation pass; a negative target belongs to no sample."""

    def __init__(self, classes: tuple[str, ...], device: torch.device) -> None:
        self._classes = classes
        # One place more than pairs of a true and a predicted class: what is no sample.
        self._counts = torch.zeros(len(classes) ** 2 + 1, dtype=torch.int64, device=device)
        self._loss = torch.zeros((), dtype=torch.float64, device=device)
        self._seen = 0
        # By sample: confidence, predicted class, true class, loss at every temperature.
        self._rows: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        # By column: confidence, index in the split, true class, predicted class; rows without a mistake hold -1.
        self._mistakes = torch.full((_MISTAKES, 4), -1.0, dtype=torch.float64, device=device)
        self._there: dict[str, Tensor] | None = None

    @property
    def samples(self) -> int:
        return self._seen

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        confidence, predicted = outputs.softmax(dim=1).max(dim=1)
        losses = losses_by_temperature(outputs, targets)
        self._rows.append((confidence, predicted, targets, losses))
        self._there = None
        self._collect(confidence, predicted, targets)
        count = len(self._classes)
        places = torch.where(targets >= 0, targets * count + predicted, count**2)
        self._counts.scatter_add_(0, places, torch.ones_like(places))
        self._loss += losses[:, _AS_IS].sum().double()

    def _collect(self, confidence: Tensor, predicted: Tensor, targets: Tensor) -> None:
        """Keep the most confident mistakes so far on the device, without waiting for it."""
        places = torch.arange(self._seen, self._seen + len(targets), device=targets.device)
        wrong = torch.where((predicted == targets) | (targets < 0), torch.full_like(confidence, -1.0), confidence)
        rows = torch.stack([column.double() for column in (wrong, places, targets, predicted)], dim=1)
        merged = torch.cat([self._mistakes, rows])
        self._mistakes = merged[merged[:, 0].argsort(descending=True, stable=True)[:_MISTAKES]]
        self._seen += len(targets)

    def _columns(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if not self._rows:
            return torch.zeros(0), *(torch.zeros(0, dtype=torch.int64),) * 2, torch.zeros(0, len(TEMPERATURES))
        there = self._fetched()
        known = there["true"] >= 0
        return there["sure"][known], there["predicted"][known], there["true"][known], there["losses"][known]

    def _fetched(self) -> dict[str, Tensor]:
        """Return what was collected, on the host, which waits for the device only the first time."""
        if self._there is None:
            names = ("sure", "predicted", "true", "losses")
            columns = (
                {name: torch.cat(column) for name, column in zip(names, zip(*self._rows, strict=True), strict=True)}
                if self._rows
                else {}
            )
            self._there = fetched({"counts": self._counts, "loss": self._loss, "mistakes": self._mistakes, **columns})
        return self._there

    def confusion(self) -> Tensor:
        """Return the samples of each true class by predicted class: ``(classes, classes)`` int64, on the host."""
        count = len(self._classes)
        return self._fetched()["counts"][:-1].reshape(count, count)

    def compute(self) -> Mapping[str, float]:
        matrix = self.confusion().double()
        support, hits = matrix.sum(dim=1), matrix.diag()
        present = support > 0
        total = support.sum().clamp(min=1)
        recall = hits[present] / support[present]
        f1 = _f1(matrix)[present | (matrix.sum(dim=0) > 0)]
        sure, predicted, true, losses = self._columns()
        return {
            "accuracy": float(hits.sum() / total),
            "balanced_accuracy": float(recall.mean()) if len(recall) else 0.0,
            "macro_f1": float(f1.mean()) if len(f1) else 0.0,
            "loss": float(self._fetched()["loss"] / total),
            "calibrated_loss": float(losses.double().sum(dim=0).min() / total),
            "calibration_error": expected_calibration_error(sure, predicted == true),
        }

    def resampled(self, metric: str, weights: Tensor) -> Tensor:
        sure, predicted, true, losses = self._columns()
        right, count = predicted == true, len(self._classes)
        match metric:
            case "accuracy":
                return share(weights, right)
            case "loss":
                return share(weights, losses[:, _AS_IS])
            case "calibrated_loss":
                return torch.stack([share(weights, each) for each in losses.T]).amin(dim=0)
            case "calibration_error":
                bins = torch.bucketize(sure, torch.linspace(0, 1, BINS + 1), right=True) - 1
                gaps = by_group(weights * (right.double() - sure.double()), bins, BINS + 1)
                return gaps.abs().sum(dim=1) / weights.sum(dim=1)
        support, predicted = by_group(weights, true, count), by_group(weights, predicted, count)
        return self._of_counts(metric, by_group(weights * right, true, count), support, predicted)

    def _of_counts(self, metric: str, hits: Tensor, support: Tensor, predicted: Tensor) -> Tensor:
        """Return a metric ``(R,)`` from the right, true and predicted samples of each class, each ``(R, classes)``."""
        if metric == "balanced_accuracy":
            return mean_of(hits / support.clamp(min=1), support > 0)
        if metric == "macro_f1":
            return mean_of(2 * hits / (support + predicted).clamp(min=1), support + predicted > 0)
        raise NotImplementedError(f"{metric} is not resampled")

    def evaluation(self) -> Evaluation:
        matrix = self.confusion().double()
        support, predicted, hits = matrix.sum(dim=1), matrix.sum(dim=0), matrix.diag()
        rows = torch.stack([hits / predicted.clamp(min=1), hits / support.clamp(min=1), _f1(matrix)], dim=1).tolist()
        results = tuple(
            ClassResult(name, precision, recall, f1, int(count))
            for name, (precision, recall, f1), count in zip(self._classes, rows, support.tolist(), strict=True)
        )
        mistakes = tuple(
            Mistake(int(place), self._classes[int(true)], self._classes[int(predicted)], round(confidence, 4))
            for confidence, place, true, predicted in self._fetched()["mistakes"].tolist()
            if confidence >= 0
        )
        return Evaluation(results, tuple(tuple(row) for row in self.confusion().tolist()), mistakes)


def _f1(matrix: Tensor) -> Tensor:
    """Return the F1 of every class; 0 for one that neither occurs nor is predicted."""
    return 2 * matrix.diag() / (matrix.sum(dim=0) + matrix.sum(dim=1)).clamp(min=1)


class Classification(Task):
    """Cross-entropy over classes; accuracy, balanced accuracy (mean recall), macro F1."""

    name = "classification"
    formats = ("image_folder", "csv", "torchvision", "digits")
    mixes = stacks = quantises = averages_views = True
    hub_task = "image-classification"
    directions: ClassVar[Mapping[str, bool]] = {
        "accuracy": True,
        "balanced_accuracy": True,
        "macro_f1": True,
        "loss": False,
        "calibrated_loss": False,
        "calibration_error": False,
    }

    def head(
        self, features: Features, classes: int, choice: HeadChoice, decided: Mapping[str, Any] | None = None
    ) -> nn.Module:
        return vector_head(features, classes, choice)

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        return F.cross_entropy(outputs, targets, label_smoothing=label_smoothing)

    def solve(self, features: Tensor, targets: Any, outputs: int, weights: Tensor | None = None) -> Solved | None:
        return solve_classes(features, targets, outputs, weights)

    def evaluator(self, classes: tuple[str, ...], device: torch.device) -> ClassificationEvaluator:
        return ClassificationEvaluator(classes, device)

    def answers(
        self, outputs: Any, classes: tuple[str, ...], most: int, temperature: float = 1.0
    ) -> list[tuple[ScoredLabel, ...]]:
        return likeliest(outputs, classes, most, temperature)


def likeliest(
    outputs: Tensor, classes: tuple[str, ...], most: int, temperature: float
) -> list[tuple[ScoredLabel, ...]]:
    """Return the classes with the largest outputs ``(N, classes)`` for every input, each with its probability."""
    scores, places = (outputs.float() / temperature).softmax(dim=1).topk(min(most, len(classes)), dim=1)
    return [
        tuple(ScoredLabel(classes[index], score) for score, index in zip(*row, strict=True))
        for row in zip(scores.tolist(), places.tolist(), strict=True)
    ]


task = Classification()
