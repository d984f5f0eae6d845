"""Any number of labels per image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from search.data.cache import Frame
from search.data.sample import Dataset, Sample, Split
from search.data.transfer import sent
from search.records.study import ClassResult, Evaluation, Measured, Picture
from search.tasks._base import StoredOutputs, Task
from search.tasks._bootstrap import average_precision, mean_of, share
from search.tasks._linear_probe import Solved, solve_labels
from search.tasks._prediction import ScoredLabel
from spaces.backbones._base import Pretrained
from spaces.heads import Features, HeadChoice, vector_head

_PICTURES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How labels are learnt and predicted.

    Attributes:
        threshold: probability from which a label is predicted; average precision does not use it.
        balance: weight each label's presence by its rarity in training (at most 100 times); helps rare labels.
    """

    threshold: float = 0.5
    balance: bool = False
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold must be above 0 and below 1, got {self.threshold:g}")


class MultilabelEvaluator(StoredOutputs):
    """Probabilities and truth of a validation pass."""

    def __init__(self, classes: tuple[str, ...], threshold: float, weight: Tensor | None) -> None:
        super().__init__(len(classes))
        self._classes = classes
        self._threshold = threshold
        self._weight = weight

    def compute(self) -> Mapping[str, float]:
        outputs, targets = self._all()
        hits, predicted, there = self._counts(outputs, targets)
        used = (predicted + there) > 0
        f1 = 2 * hits / (predicted + there).clamp(min=1)
        right = ((outputs.sigmoid() >= self._threshold) == (targets > 0.5)).all(dim=1)
        loss = _loss(outputs, targets, None if self._weight is None else self._weight.cpu())
        precisions = list(self._precisions(outputs, targets).values())
        return {
            "map": sum(precisions) / len(precisions) if precisions else 0.0,
            "macro_f1": float(f1[used].mean()) if used.any() else 0.0,
            "micro_f1": float(2 * hits.sum() / (predicted.sum() + there.sum()).clamp(min=1)),
            "subset_accuracy": float(right.double().mean()) if len(right) else 0.0,
            "loss": float(loss.mean()) if loss.numel() else 0.0,
        }

    def resampled(self, metric: str, weights: Tensor) -> Tensor:
        outputs, targets = self._all()
        predicted, there = outputs.sigmoid() >= self._threshold, targets > 0.5
        if metric == "subset_accuracy":
            return share(weights, (predicted == there).all(dim=1))
        if metric == "loss":
            weight = None if self._weight is None else self._weight.cpu()
            return share(weights, _loss(outputs, targets, weight).mean(dim=1))
        if metric == "map":
            rows = zip(outputs.sigmoid().unbind(dim=1), there.unbind(dim=1), strict=True)
            precisions = torch.stack([average_precision(scores, own, weights) for scores, own in rows], dim=1)
            return mean_of(precisions.nan_to_num(0.0), precisions.isfinite())
        hits, positives, true = (weights @ one.double() for one in (predicted & there, predicted, there))
        if metric == "micro_f1":
            return 2 * hits.sum(dim=1) / (positives + true).sum(dim=1).clamp(min=1)
        return mean_of(2 * hits / (positives + true).clamp(min=1), positives + true > 0)

    def evaluation(self) -> Evaluation:
        outputs, targets = self._all()
        hits, predicted, there = self._counts(outputs, targets)
        precision, recall = hits / predicted.clamp(min=1), hits / there.clamp(min=1)
        f1 = 2 * hits / (predicted + there).clamp(min=1)
        rows = torch.stack([precision, recall, f1, there], dim=1).tolist()
        results = tuple(
            ClassResult(name, row[0], row[1], row[2], int(row[3]))
            for name, row in zip(self._classes, rows, strict=True)
        )
        precisions = self._precisions(outputs, targets)
        measured = tuple(
            Measured(
                result.name, {"average_precision": precisions[index]} if index in precisions else {}, result.support
            )
            for index, result in enumerate(results)
        )
        return Evaluation(results, measured=measured, pictures=self._pictures(outputs, targets))

    def _counts(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        predicted, there = outputs.sigmoid() >= self._threshold, targets > 0.5
        return (predicted & there).sum(dim=0).double(), predicted.sum(dim=0).double(), there.sum(dim=0).double()

    def _precisions(self, outputs: Tensor, targets: Tensor) -> dict[int, float]:
        """Return the average precision of each label that some sample has; for others it is undefined."""
        # Loading it takes two seconds of CPU; only this task needs it.
        from torchmetrics.functional.classification import binary_average_precision  # noqa: PLC0415

        scores, there = outputs.sigmoid(), (targets > 0.5).long()
        return {
            index: float(binary_average_precision(scores[:, index], there[:, index], validate_args=False))
            for index in range(len(self._classes))
            if there[:, index].any()
        }

    def _pictures(self, outputs: Tensor, targets: Tensor) -> tuple[Picture, ...]:
        """Return the samples with a wrong label, the largest loss first."""
        predicted, there = outputs.sigmoid() >= self._threshold, targets > 0.5
        losses = torch.where((predicted != there).any(dim=1), _loss(outputs, targets, None).mean(dim=1), -1.0)
        worst = losses.argsort(descending=True, stable=True)[:_PICTURES].tolist()
        return tuple(
            Picture(index, f"true: {self._words(there[index])}; predicted: {self._words(predicted[index])}")
            for index in worst
            if losses[index] >= 0
        )

    def _words(self, shown: Tensor) -> str:
        return ", ".join(name for name, flag in zip(self._classes, shown.tolist(), strict=True) if flag) or "nothing"


def _loss(outputs: Tensor, targets: Tensor, weight: Tensor | None) -> Tensor:
    return F.binary_cross_entropy_with_logits(
        outputs,
        targets,
        pos_weight=None if weight is None else sent(weight, outputs.device).to(outputs.dtype),
        reduction="none",
    )


class Multilabel(Task):
    """Binary cross-entropy per label; mean average precision, macro and micro F1, share of samples wholly right."""

    name = "multilabel"
    formats = ("csv_labels",)
    options = Options
    mixes = stacks = quantises = True
    hub_task = "image-classification"
    means = "logits, one per label, each with a probability of its own (sigmoid)"
    directions: ClassVar[Mapping[str, bool]] = {
        "map": True,
        "macro_f1": True,
        "micro_f1": True,
        "subset_accuracy": True,
        "loss": False,
    }
    chosen: Options = Options()
    _classes = 0
    _weight: Tensor | None = None

    def bind(self, chosen: Options, dataset: Dataset, pretrained: Pretrained) -> Self:
        bound = super().bind(chosen, dataset, pretrained)
        bound._classes = len(dataset.classes)
        if chosen.balance:
            train = bound._hot(dataset.of(Split.TRAIN))
            there = train.sum(dim=0)
            bound._weight = ((len(train) - there) / there.clamp(min=1)).clamp(min=1e-2, max=100)
        return bound

    def _hot(self, samples: Sequence[Sample]) -> Tensor:
        hot = torch.zeros(len(samples), self._classes)
        for index, sample in enumerate(samples):
            hot[index, list(sample.target)] = 1.0
        return hot

    def targets(self, samples: Sequence[Sample], frame: Frame) -> Tensor:
        """Return ``(N, classes)`` float32, 1 where a sample has the label."""
        return self._hot(samples)

    def kinds(self, target: Any) -> Sequence[int]:
        return tuple(target)

    def head(
        self, features: Features, classes: int, choice: HeadChoice, decided: Mapping[str, Any] | None = None
    ) -> nn.Module:
        return vector_head(features, classes, choice)

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        return _loss(outputs, targets * (1 - label_smoothing) + label_smoothing / 2, self._weight).mean()

    def solve(self, features: Tensor, targets: Any, outputs: int, weights: Tensor | None = None) -> Solved | None:
        return solve_labels(features, targets, self._weight)

    def evaluator(self, classes: tuple[str, ...], device: torch.device) -> MultilabelEvaluator:
        return MultilabelEvaluator(classes, self.chosen.threshold, self._weight)

    def answers(
        self, outputs: Any, classes: tuple[str, ...], most: int, temperature: float = 1.0
    ) -> list[tuple[ScoredLabel, ...]]:
        """Return the labels of every input, above the threshold or not, each with its own probability."""
        scores, places = (outputs.float() / temperature).sigmoid().topk(min(most, len(classes)), dim=1)
        return [
            tuple(ScoredLabel(classes[index], score) for score, index in zip(*row, strict=True))
            for row in zip(scores.tolist(), places.tolist(), strict=True)
        ]


task = Multilabel()
