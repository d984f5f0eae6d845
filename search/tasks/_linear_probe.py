"""The best linear layer on fixed features, solved instead of trained; its penalty is chosen by cross-validation.

Features are rotated into the space that the samples span, where penalised solutions lie: some hundred dimensions in
place of a thousand. Strengths are those of features scaled to a mean squared norm of 1.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# scikit-learn loads scipy and pandas, more than a second of CPU: only where something is solved, for every command
# that opens a model or a study imports this module.
if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import KFold, StratifiedKFold

Array = NDArray[np.float64]
STRENGTHS = tuple(float(strength) for strength in np.logspace(-1, 3, 9))
"""Inverse strengths of the penalty that are tried, the strongest penalty first."""
_USUAL = 1.0
"""Where there are too few samples to choose by."""
_FOLDS = 5
_FOLDED = 1000
"""Samples up to which all folds are tried; with more, one part is enough."""
_PATIENCE = 2
_STEPS, _ROUGH, _FINE = 500, 1e-4, 1e-6
_LEAST = 1e-12
_NEVER = -10.0
"""Bias of a class that no sample has."""


@dataclass(frozen=True, slots=True)
class Solved:
    """A linear layer.

    Attributes:
        weight: ``(outputs, D)``; ``bias`` ``(outputs,)``; float32, on the CPU.
        strength: of the penalty, inverse: large for a weak one.
    """

    weight: Tensor
    bias: Tensor
    strength: float


@dataclass(frozen=True, slots=True)
class _Rotated:
    """Features in the space that the samples span, centred and scaled: ``rows @ axes * scale + mean``."""

    rows: Array
    axes: Array
    mean: Array
    scale: float

    def layer(self, weight: Array, bias: Array, strength: float) -> Solved:
        """Return the layer on the features as they were that does what ``weight`` and ``bias`` do on ``rows``."""
        whole = weight @ self.axes / self.scale
        return Solved(
            torch.from_numpy(whole).float(), torch.from_numpy(bias - whole @ self.mean).float(), float(strength)
        )


def solve_classes(features: Tensor, labels: Tensor, classes: int, weights: Tensor | None = None) -> Solved | None:
    """Return multinomial logistic regression with an L2 penalty: features ``(N, D)`` -> logits ``(N, classes)``.

    Args:
        labels: class indices ``(N,)``.
        weights: what a sample of each class counts ``(classes,)``; all the same by default.

    Returns:
        None where fewer than two classes have a sample.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.model_selection import StratifiedKFold  # noqa: PLC0415

    given = labels.cpu().numpy()
    present, counts = np.unique(given, return_counts=True)
    if len(present) < 2:
        return None
    rotated = _rotate(features)
    counted = None if weights is None else weights.cpu().double().numpy()[given]
    folds = min(_FOLDS, int(counts.max()))
    parts = list(_parts(StratifiedKFold(folds, shuffle=True, random_state=0), rotated.rows, given) if folds > 1 else ())
    paths = [_Path(rotated.rows, given, part, counted) for part in parts if len(np.unique(given[part[0]])) > 1]
    strength = _strongest(paths)
    model = _fitted(LogisticRegression(C=strength, max_iter=_STEPS, tol=_FINE), rotated.rows, given, counted)
    coefficients, biases = _both(model)
    weight, bias = np.zeros((classes, rotated.rows.shape[1])), np.full(classes, _NEVER)
    weight[present], bias[present] = coefficients, biases
    return rotated.layer(weight, bias, strength)


def solve_labels(features: Tensor, there: Tensor, weights: Tensor | None = None) -> Solved:
    """Return a logistic regression a label, all of one strength: features ``(N, D)`` -> logits ``(N, labels)``.

    Args:
        there: 1 where a sample has the label ``(N, labels)``.
        weights: what having each label counts against not having it ``(labels,)``; the same by default.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.model_selection import KFold  # noqa: PLC0415

    hot = there.cpu().double().numpy() > 0.5
    rotated = _rotate(features)
    positive = np.ones(hot.shape[1]) if weights is None else weights.cpu().double().numpy()
    counted = np.where(hot, positive, 1.0)
    parts = list(_parts(KFold(min(_FOLDS, len(hot)), shuffle=True, random_state=0), rotated.rows, hot))
    varied = [label for label in range(hot.shape[1]) if 0 < hot[:, label].sum() < len(hot)]
    strength = _strongest(
        [
            _Path(rotated.rows, hot[:, label].astype(np.int64), part, counted[:, label])
            for label in varied
            for part in parts
            if 0 < hot[part[0], label].sum() < len(part[0])
        ]
    )
    # A label that all samples have, or none, is predicted by its bias: as likely as if one more sample were otherwise.
    odds = (hot.sum(axis=0) + 0.5) / (len(hot) - hot.sum(axis=0) + 0.5)
    weight, bias = np.zeros((hot.shape[1], rotated.rows.shape[1])), np.log(odds)
    for label in varied:
        model = LogisticRegression(C=strength, max_iter=_STEPS, tol=_FINE)
        _fitted(model, rotated.rows, hot[:, label].astype(np.int64), counted[:, label])
        weight[label], bias[label] = model.coef_[0], model.intercept_[0]
    return rotated.layer(weight, bias, strength)


def solve_numbers(features: Tensor, numbers: Tensor) -> Solved:
    """Return ridge regression: features ``(N, D)`` -> ``(N, outputs)``, its strength by leaving each sample out."""
    from sklearn.linear_model import RidgeCV  # noqa: PLC0415

    rotated = _rotate(features)
    targets = numbers.detach().cpu().double().numpy()
    model = RidgeCV(alphas=[1 / strength for strength in STRENGTHS]).fit(rotated.rows, targets)
    weight, bias = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    return rotated.layer(weight, bias, 1 / model.alpha_)


def _rotate(features: Tensor) -> _Rotated:
    rows = features.detach().cpu().double()
    mean = rows.mean(dim=0)
    left, lengths, axes = torch.linalg.svd(rows - mean, full_matrices=False)
    kept = lengths > lengths[0] * 1e-7
    if not bool(kept.any()):  # all samples alike: one axis, along which nothing differs
        kept[0] = True
    scale = float(lengths.square().sum().div(len(rows)).sqrt()) or 1.0
    turned = (left * lengths)[:, kept] / scale
    return _Rotated(turned.numpy(), axes[kept].numpy(), mean.numpy(), scale)


def _parts(
    folds: KFold | StratifiedKFold, rows: Array, labels: NDArray[np.generic]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes that have fewer samples than there are folds
        parts = list(folds.split(rows, labels))
    yield from parts if len(rows) <= _FOLDED else parts[:1]


class _Path:
    """Logistic regression of one part of the samples, from strong penalties to weak ones, judged by the other part."""

    def __init__(
        self,
        rows: Array,
        labels: NDArray[np.int64],
        part: tuple[NDArray[np.int64], NDArray[np.int64]],
        counted: Array | None,
    ) -> None:
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

        self._rows, self._labels, self._counted = rows, labels, counted
        self._learnt, self._judged = part
        self._model = LogisticRegression(max_iter=_STEPS, tol=_ROUGH, warm_start=True)

    def loss(self, strength: float) -> float:
        """Return the sum of the negative log-likelihoods of the part that was left out."""
        counted = None if self._counted is None else self._counted[self._learnt]
        self._model.C = strength * len(self._rows) / len(self._learnt)
        _fitted(self._model, self._rows[self._learnt], self._labels[self._learnt], counted)
        probabilities = self._model.predict_proba(self._rows[self._judged])
        labels = self._labels[self._judged]
        column = np.searchsorted(self._model.classes_, labels).clip(max=probabilities.shape[1] - 1)
        found = np.where(self._model.classes_[column] == labels, probabilities[np.arange(len(labels)), column], 0.0)
        losses = -np.log(found.clip(min=_LEAST))
        return float((losses if self._counted is None else losses * self._counted[self._judged]).sum())


def _strongest(paths: list[_Path]) -> float:
    """Return the strength with the least loss over all ``paths``; the search ends where losses have risen twice."""
    losses: list[float] = []
    for strength in STRENGTHS if paths else ():
        losses.append(sum(path.loss(strength) for path in paths))
        if len(losses) - 1 - int(np.argmin(losses)) >= _PATIENCE:
            break
    return STRENGTHS[int(np.argmin(losses))] if losses else _USUAL


def _fitted(
    model: LogisticRegression, rows: Array, labels: NDArray[np.generic], counted: Array | None
) -> LogisticRegression:
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # weak penalties on separable samples: not chosen anyway
        return model.fit(rows, labels, sample_weight=counted)


def _both(model: LogisticRegression) -> tuple[Array, Array]:
    """Return a row of weights and a bias for every class; of two classes the solver gives the difference only."""
    if len(model.classes_) > 2:
        return model.coef_, model.intercept_
    return np.concatenate([-model.coef_, model.coef_]) / 2, np.concatenate([-model.intercept_, model.intercept_]) / 2
