"""One label per text or pair of texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from search.data.sample import Dataset, Split
from search.tasks._linear_probe import Solved, solve_classes
from search.tasks._prediction import ScoredLabel
from search.tasks._texts import Texts, TokenizerOptions
from search.tasks.classification import ClassificationEvaluator, likeliest
from spaces.backbones._base import Pretrained
from spaces.heads import Features, HeadChoice, vector_head


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(TokenizerOptions):
    """How texts are read and labels are learnt.

    Attributes:
        balance: weight each class by its rarity in training.
    """

    balance: bool = False


class TextEvaluator(ClassificationEvaluator):
    """As for images, with Matthews correlation, GLUE's metric for CoLA (https://arxiv.org/abs/1804.07461)."""

    def compute(self) -> Mapping[str, float]:
        return {**super().compute(), "matthews": matthews(self.confusion().double())}

    def _of_counts(self, metric: str, hits: Tensor, support: Tensor, predicted: Tensor) -> Tensor:
        if metric != "matthews":
            return super()._of_counts(metric, hits, support, predicted)
        return _correlation(hits.sum(dim=1), support, predicted)


def matthews(confusion: Tensor) -> float:
    """Return the Matthews correlation of a confusion matrix of two or more classes; 0 where it is undefined.

    Gorodkin's R_K (https://doi.org/10.1016/j.compbiolchem.2004.09.006), as scikit-learn computes it.
    """
    return float(_correlation(confusion.diag().sum(), confusion.sum(dim=1), confusion.sum(dim=0)))


def _correlation(hits: Tensor, true: Tensor, predicted: Tensor) -> Tensor:
    """Return the correlation from the right answers, and the true and predicted ones by class ``(..., classes)``."""
    total = true.sum(dim=-1)
    agreement = hits * total - (true * predicted).sum(dim=-1)
    spread = (total.square() - predicted.square().sum(dim=-1)) * (total.square() - true.square().sum(dim=-1))
    return torch.where(spread > 0, agreement / spread.clamp(min=1e-12).sqrt(), torch.zeros_like(spread))


class TextClassification(Texts):
    """Cross-entropy over classes; accuracy, macro F1, Matthews correlation, balanced accuracy."""

    name = "text"
    formats = ("text_table", "hf_text")
    options = Options
    stacks = True
    directions: ClassVar[Mapping[str, bool]] = {
        "accuracy": True,
        "macro_f1": True,
        "matthews": True,
        "balanced_accuracy": True,
        "loss": False,
    }
    chosen: Options = Options()
    _weight: Tensor | None = None

    def bind(self, chosen: Options, dataset: Dataset, pretrained: Pretrained) -> Self:
        bound = super().bind(chosen, dataset, pretrained)
        if chosen.balance:
            labels = torch.tensor([sample.target for sample in dataset.of(Split.TRAIN)])
            counts = torch.bincount(labels, minlength=len(dataset.classes)).clamp(min=1)
            bound._weight = len(labels) / (len(dataset.classes) * counts.float())
        return bound

    def head(
        self, features: Features, classes: int, choice: HeadChoice, decided: Mapping[str, Any] | None = None
    ) -> nn.Module:
        return vector_head(features, classes, choice)

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        weight = None if self._weight is None else self._weight.to(outputs)
        return F.cross_entropy(outputs, targets, weight, label_smoothing=label_smoothing)

    def solve(self, features: Tensor, targets: Any, outputs: int, weights: Tensor | None = None) -> Solved | None:
        return solve_classes(features, targets, outputs, self._weight if weights is None else weights)

    def evaluator(self, classes: tuple[str, ...], device: torch.device) -> TextEvaluator:
        return TextEvaluator(classes, device)

    def answers(
        self, outputs: Any, classes: tuple[str, ...], most: int, temperature: float = 1.0
    ) -> list[tuple[ScoredLabel, ...]]:
        return likeliest(outputs, classes, most, temperature)


task = TextClassification()
