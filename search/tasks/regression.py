"""Numbers predicted from an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from search.data.cache import Frame
from search.data.sample import Dataset, Sample, Split
from search.data.transfer import sent
from search.errors import DataError
from search.records.study import Evaluation, Json, Measured, Picture
from search.tasks._base import StoredOutputs, Task
from search.tasks._linear_probe import Solved, solve_numbers
from search.tasks._prediction import ScoredLabel
from spaces.backbones._base import Pretrained
from spaces.heads import Features, HeadChoice, vector_head

_PICTURES = 24
_NOTHING = 1e-300


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How numbers are learnt; the losses measure errors in standard deviations of the training targets.

    Attributes:
        loss: ``mse``, ``l1``, or ``huber``: squared up to ``huber_delta`` standard deviations, linear beyond.
    """

    loss: Literal["mse", "l1", "huber"] = "mse"
    huber_delta: float = 1.0
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if not 0 < self.huber_delta < float("inf"):
            raise ValueError(f"huber_delta must be a finite number above 0, got {self.huber_delta:g}")


class Unstandardize(nn.Module):
    """Turns standardised numbers back into the unit of the targets; fixed, saved with the weights."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, values: Tensor) -> Tensor:
        # In float32: half precision has three digits, too few for numbers far from 0.
        return values.float() * self.deviation + self.mean


class RegressionEvaluator(StoredOutputs):
    """Predicted and true numbers of a validation pass."""

    def __init__(self, names: tuple[str, ...], task: Regression) -> None:
        super().__init__(len(names))
        self._names = names
        self._task = task

    def compute(self) -> Mapping[str, float]:
        outputs, targets = self._all()
        each = list(self._each(outputs, targets))
        means = {name: sum(values[name] for values in each) / len(each) for name in ("rmse", "mae", "r2")}
        return {**means, "loss": float(self._task.loss(outputs, targets))}

    def resampled(self, metric: str, weights: Tensor) -> Tensor:
        outputs, targets = self._all()
        shares = weights / weights.sum(dim=1, keepdim=True)
        if metric == "loss":
            rows = [self._task.loss(outputs[[index]], targets[[index]]) for index in range(len(targets))]
            return shares @ torch.stack(rows)
        errors = outputs - targets
        if metric == "mae":
            return (shares @ errors.abs()).mean(dim=1)
        squared = shares @ errors.square()
        if metric == "rmse":
            return squared.sqrt().mean(dim=1)
        whole = shares @ targets.square() - (shares @ targets).square()
        constant = torch.where(squared == 0, 1.0, 0.0).double()
        return torch.where(whole > _NOTHING, 1 - squared / whole.clamp(min=_NOTHING), constant).mean(dim=1)

    def evaluation(self) -> Evaluation:
        outputs, targets = self._all()
        results = zip(self._names, self._each(outputs, targets), strict=True)
        measured = tuple(Measured(name, values, len(targets)) for name, values in results)
        return Evaluation(measured=measured, pictures=self._pictures(outputs, targets))

    def _each(self, outputs: Tensor, targets: Tensor) -> Sequence[Mapping[str, float]]:
        """Return the measures of each number, as scikit-learn defines them."""
        errors = outputs - targets
        left, whole = errors.square().sum(dim=0), (targets - targets.mean(dim=0)).square().sum(dim=0)
        # Constant targets leave nothing to explain: 1 for no error, 0 for any, as in scikit-learn.
        constant = torch.where(left == 0, 1.0, 0.0).double()
        r2 = torch.where(whole > 0, 1 - left / whole.clamp(min=torch.finfo(whole.dtype).tiny), constant)
        rows = torch.stack([errors.square().mean(dim=0).sqrt(), errors.abs().mean(dim=0), r2], dim=1).tolist()
        return [{"rmse": rmse, "mae": mae, "r2": explained} for rmse, mae, explained in rows]

    def _pictures(self, outputs: Tensor, targets: Tensor) -> tuple[Picture, ...]:
        """Return the samples with the largest errors in standard deviations, the largest first."""
        far = ((outputs - targets) / self._task.deviation.double()).abs().amax(dim=1)
        worst = far.argsort(descending=True, stable=True)[:_PICTURES].tolist()
        return tuple(
            Picture(index, f"true: {self._words(targets[index])}; predicted: {self._words(outputs[index])}")
            for index in worst
        )

    def _words(self, numbers: Tensor) -> str:
        return ", ".join(f"{name} {value:.4g}" for name, value in zip(self._names, numbers.tolist(), strict=True))


class Regression(Task):
    """Squared, absolute or Huber error; root mean squared error, mean absolute error, R2, over all numbers alike."""

    name = "regression"
    formats = ("csv_numbers",)
    outputs = "numbers"
    means = "numbers, in the data's unit"
    options = Options
    mixes = quantises = True
    leaves_out: ClassVar[Mapping[str, str]] = {"label_smoothing": "numbers are not labels that could be smoothed"}
    directions: ClassVar[Mapping[str, bool]] = {"rmse": False, "mae": False, "r2": True, "loss": False}
    chosen: Options = Options()
    mean: Tensor = torch.zeros(1)
    deviation: Tensor = torch.ones(1)
    """Mean of the training targets, ``(numbers,)``; ``deviation`` likewise."""

    def bind(self, chosen: Options, dataset: Dataset, pretrained: Pretrained) -> Self:
        """Return the task with mean and deviation of the training targets.

        Raises:
            DataError: a number is the same in all training samples.
        """
        bound = super().bind(chosen, dataset, pretrained)
        numbers = torch.tensor([sample.target for sample in dataset.of(Split.TRAIN)], dtype=torch.float64)
        deviation = numbers.std(dim=0, correction=0)
        for name, spread, first in zip(dataset.classes, deviation.tolist(), numbers[0].tolist(), strict=True):
            if spread <= 1e-12 * max(abs(first), 1e-300):
                raise DataError(
                    f"{dataset.name}: {name!r} is {first:g} in all training samples: there is nothing to learn; "
                    "leave the column out of `target_columns`"
                )
        bound.mean, bound.deviation = numbers.mean(dim=0).float(), deviation.float()
        return bound

    def facts(self) -> Mapping[str, Json]:
        return {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}

    def targets(self, samples: Sequence[Sample], frame: Frame) -> Tensor:
        """Return ``(N, numbers)`` float32, in the unit of the data."""
        return torch.tensor([sample.target for sample in samples], dtype=torch.float32)

    def kinds(self, target: Any) -> Sequence[int]:
        return ()

    def head(
        self, features: Features, classes: int, choice: HeadChoice, decided: Mapping[str, Any] | None = None
    ) -> nn.Module:
        """Return a head whose output is in the unit of the data."""
        scale = Unstandardize(self.mean.expand(classes).clone(), self.deviation.expand(classes).clone())
        return nn.Sequential(*vector_head(features, classes, choice), scale)

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        far = (outputs - targets) / sent(self.deviation, outputs.device).to(outputs.dtype)
        match self.chosen.loss:
            case "mse":
                return far.square().mean()
            case "l1":
                return far.abs().mean()
            case "huber":
                return F.huber_loss(far, torch.zeros_like(far), delta=self.chosen.huber_delta)

    def solve(self, features: Tensor, targets: Any, outputs: int, weights: Tensor | None = None) -> Solved | None:
        """Return ridge regression of the standardised targets, whatever the task's loss."""
        return solve_numbers(features, (targets.cpu() - self.mean) / self.deviation)

    def evaluator(self, classes: tuple[str, ...], device: torch.device) -> RegressionEvaluator:
        return RegressionEvaluator(classes, self)

    def answers(
        self, outputs: Any, classes: tuple[str, ...], most: int, temperature: float = 1.0
    ) -> list[tuple[ScoredLabel, ...]]:
        """Return the first ``most`` numbers of every input, in the data's order and unit; no temperature applies."""
        return [
            tuple(ScoredLabel(name, number) for name, number in zip(classes[:most], row, strict=False))
            for row in outputs.float().tolist()
        ]


task = Regression()
