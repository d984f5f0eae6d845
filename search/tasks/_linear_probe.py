"""The best linear layer on fixed features, solved instead of trained; its penalty is chosen by cross-validation.

Features are rotated into the space that the samples span, where penalised solutions lie: some hundred dimensions
instead of a thousand. Strengths apply to features scaled to a mean squared norm of 1. Tests hold the layers to
scikit-learn's; here all folds and labels are solved at once, since scikit-learn spends more than half the time of a
small fit on checking its input, and a head start takes 46 fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
Loss = Callable[[Array], tuple[Array, Array]]
"""Logits ``(P, K, N)`` -> the loss of every sample ``(P, N)`` and its derivative with respect to the logits."""
STRENGTHS = tuple(float(strength) for strength in np.logspace(-1, 3, 9))
"""Inverse penalty strengths to try, the strongest penalty first."""
_USUAL = 1.0
"""The strength used if there are too few samples to choose one."""
_FOLDS = 5
_FOLDED = 1000
"""Most samples for which all folds are tried; with more, one fold is enough."""
_PATIENCE = 2
_STEPS, _ROUGH, _FINE = 500, 1e-4, 1e-6
_LEAST = 1e-12
_NEVER = -10.0
"""Bias of a class without samples."""


@dataclass(frozen=True, slots=True)
class Solved:
    """A linear layer.

    Attributes:
        weight: ``(outputs, D)``; ``bias`` ``(outputs,)``; float32, on the CPU.
        strength: inverse penalty strength: large for a weak penalty.
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
        """Return the layer on the original features that is equivalent to ``weight`` and ``bias`` on ``rows``."""
        whole = weight @ self.axes / self.scale
        return Solved(
            torch.from_numpy(whole).float(), torch.from_numpy(bias - whole @ self.mean).float(), float(strength)
        )


def solve_classes(features: Tensor, labels: Tensor, classes: int, weights: Tensor | None = None) -> Solved | None:
    """Return multinomial logistic regression with an L2 penalty: features ``(N, D)`` -> logits ``(N, classes)``.

    Args:
        labels: class indices ``(N,)``.
        weights: weight of a sample of each class ``(classes,)``; all equal by default.

    Returns:
        None if fewer than two classes have samples.
    """
    given = labels.cpu().numpy()
    present, index, counts = np.unique(given, return_inverse=True, return_counts=True)
    if len(present) < 2:
        return None
    rotated = _rotate(features)
    counted = np.ones(len(given)) if weights is None else weights.cpu().double().numpy()[given]
    hot = np.eye(len(present))[index].T
    learnt = _folds(index, min(_FOLDS, int(counts.max())))
    seen = learnt @ hot.T > 0  # (F, K)
    learnt, seen = learnt[seen.sum(axis=1) > 1], seen[seen.sum(axis=1) > 1]
    # Two classes share one output, as in scikit-learn, whose penalty then counts it once.
    outputs = len(present) if len(present) > 2 else 1
    loss = _of_classes(hot, seen) if outputs > 1 else _of_labels(hot[1:])
    strength = _strongest(rotated.rows, loss, counted * learnt, counted * (1 - learnt), outputs)
    whole = _of_classes(hot, np.ones((1, outputs), dtype=bool)) if outputs > 1 else loss
    (solved,) = _Penalised(rotated.rows, whole, counted[None], outputs).solve(strength, _FINE)
    if outputs == 1:
        solved = np.concatenate([-solved, solved]) / 2
    weight, bias = np.zeros((classes, rotated.rows.shape[1])), np.full(classes, _NEVER)
    weight[present], bias[present] = solved[:, :-1], solved[:, -1]
    return rotated.layer(weight, bias, strength)


def solve_labels(features: Tensor, there: Tensor, weights: Tensor | None = None) -> Solved:
    """Return one logistic regression per label, all of one strength: features ``(N, D)`` -> logits ``(N, labels)``.

    Args:
        there: 1 where a sample has the label ``(N, labels)``.
        weights: weight of having each label, relative to not having it ``(labels,)``; 1 by default.
    """
    hot = (there.cpu().double().numpy() > 0.5).T.astype(np.float64)
    rotated = _rotate(features)
    positive = np.ones(len(hot)) if weights is None else weights.cpu().double().numpy()
    counted = np.where(hot > 0, positive[:, None], 1.0)
    samples = hot.shape[1]
    varied = np.flatnonzero((hot.sum(axis=1) > 0) & (hot.sum(axis=1) < samples))
    # A label of all samples, or of none, is predicted by its bias, as if one further sample were different.
    odds = (hot.sum(axis=1) + 0.5) / (samples - hot.sum(axis=1) + 0.5)
    weight, bias = np.zeros((len(hot), rotated.rows.shape[1])), np.log(odds)
    learnt = _folds(np.zeros(samples, dtype=np.int64), min(_FOLDS, samples))
    problems = [(label, part) for label in varied for part in learnt if 0 < part @ hot[label] < part.sum()]
    strength = _USUAL
    if problems:
        labels, parts = np.array([label for label, _ in problems]), np.stack([part for _, part in problems])
        counts = counted[labels]
        strength = _strongest(rotated.rows, _of_labels(hot[labels]), counts * parts, counts * (1 - parts), 1)
    if len(varied):
        solved = _Penalised(rotated.rows, _of_labels(hot[varied]), counted[varied], 1).solve(strength, _FINE)
        weight[varied], bias[varied] = solved[:, 0, :-1], solved[:, 0, -1]
    return rotated.layer(weight, bias, strength)


def solve_numbers(features: Tensor, numbers: Tensor) -> Solved:
    """Return ridge regression: features ``(N, D)`` -> ``(N, outputs)``, its strength chosen by leave-one-out."""
    rotated = _rotate(features)
    targets = numbers.detach().cpu().double().numpy().reshape(len(numbers), -1)
    bias = targets.mean(axis=0)
    lengths = np.square(rotated.rows).sum(axis=0)  # the axes are orthogonal
    projected = rotated.rows.T @ (targets - bias)
    errors = []
    for strength in STRENGTHS:
        left = targets - bias - rotated.rows @ (projected / (lengths + 1 / strength)[:, None])
        # A sample's leverage on its own prediction, for the leave-one-out error (Golub, Heath and Wahba 1979).
        own = 1 / len(targets) + (np.square(rotated.rows) / (lengths + 1 / strength)).sum(axis=1)
        errors.append(np.square(left / np.maximum(1 - own, _LEAST)[:, None]).mean())
    strength = STRENGTHS[int(np.argmin(errors))]
    return rotated.layer((projected / (lengths + 1 / strength)[:, None]).T, bias, strength)


def _rotate(features: Tensor) -> _Rotated:
    rows = features.detach().cpu().double()
    mean = rows.mean(dim=0)
    left, lengths, axes = torch.linalg.svd(rows - mean, full_matrices=False)
    kept = lengths > lengths[0] * 1e-7
    if not bool(kept.any()):  # all samples are equal: one axis, along which nothing differs
        kept[0] = True
    scale = float(lengths.square().sum().div(len(rows)).sqrt()) or 1.0
    turned = (left * lengths)[:, kept] / scale
    return _Rotated(turned.numpy(), axes[kept].numpy(), mean.numpy(), scale)


def _folds(labels: NDArray[np.int64], count: int) -> Array:
    """Return for each of ``count`` folds 1 for the samples it learns from and 0 for those that judge it ``(F, N)``.

    Samples of a label are spread evenly over the folds. For many samples one fold is returned, for a ``count`` below 2
    none.
    """
    if count < 2:
        return np.ones((0, len(labels)))
    chance = np.random.default_rng(0)
    order = chance.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    judged_by = np.empty(len(labels), dtype=np.int64)
    judged_by[order] = np.arange(len(labels)) % count
    folds = range(count if len(labels) <= _FOLDED else 1)
    return np.stack([judged_by != fold for fold in folds]).astype(np.float64)


def _of_classes(hot: Array, seen: NDArray[np.bool_]) -> Loss:
    """Return the cross-entropy of softmax.

    Args:
        hot: one-hot class of each sample ``(K, N)``.
        seen: classes with samples in each problem ``(P, K)``; others have probability 0.
    """
    shut = None if seen.all() else np.where(seen, 0.0, -np.inf)[:, :, None]
    classes, samples = hot.argmax(axis=0), np.arange(hot.shape[1])
    aims = hot if seen.all() else hot * seen[:, :, None]

    def loss(logits: Array) -> tuple[Array, Array]:
        if shut is not None:
            logits = logits + shut
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        raised /= raised.sum(axis=1, keepdims=True)
        own = raised[:, classes, samples]
        return -np.log(own.clip(min=_LEAST)), np.subtract(raised, aims, out=raised)

    return loss


def _of_labels(hot: Array) -> Loss:
    """Return the cross-entropy of the sigmoid of one logit; ``hot`` is 1 where a sample has the label ``(P, N)``."""

    def loss(logits: Array) -> tuple[Array, Array]:
        scores = logits[:, 0]
        losses = np.logaddexp(0, scores) - hot * scores
        return losses, (0.5 * (1 + np.tanh(scores / 2)) - hot)[:, None]

    return loss


class _Penalised:
    """Logistic regressions on the same features, each with its own sample weights, minimised together.

    Args:
        rows: features ``(N, D)``.
        counted: weight of each sample in each of ``P`` problems ``(P, N)``.
    """

    def __init__(self, rows: Array, loss: Loss, counted: Array, outputs: int) -> None:
        self.rows = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
        self.loss, self.total = loss, counted.sum(axis=1)
        self.shares = counted / self.total[:, None]
        self.solved: Array = np.zeros((len(counted), outputs, self.rows.shape[1]))

    def solve(self, strength: float, tolerance: float) -> Array:
        """Return weights and, last, biases ``(P, K, D + 1)``; starts from the previous solution."""
        from scipy.optimize import minimize  # noqa: PLC0415  # a quarter of a second that other commands need not pay

        penalty = 1 / (strength * self.total)[:, None, None]

        def objective(flat: Array) -> tuple[float, Array]:
            layers = flat.reshape(self.solved.shape)
            losses, slopes = self.loss(layers @ self.rows.T)
            weight = layers.copy()
            weight[..., -1] = 0  # biases are not penalised
            value = (losses * self.shares).sum() + 0.5 * (penalty * np.square(weight)).sum()
            return float(value), ((slopes * self.shares[:, None]) @ self.rows + penalty * weight).ravel()

        options = {"maxiter": _STEPS, "maxls": 50, "gtol": tolerance, "ftol": 64 * np.finfo(float).eps}
        minimum = minimize(objective, self.solved.ravel(), method="L-BFGS-B", jac=True, options=options)
        self.solved = minimum.x.reshape(self.solved.shape)
        return self.solved


def _strongest(rows: Array, loss: Loss, learnt: Array, judged: Array, outputs: int) -> float:
    """Return the strength with the least held-out loss; the search ends once losses have risen twice.

    Args:
        learnt: weight of each sample in the training of each problem ``(P, N)``; 0 for held-out ones.
        judged: weight of the held-out samples.
    """
    if not len(learnt):
        return _USUAL
    path, losses = _Penalised(rows, loss, learnt, outputs), []
    used = (learnt > 0).mean(axis=1).mean()
    for strength in STRENGTHS:
        layers = path.solve(strength / used, _ROUGH)
        losses.append(float((loss(layers @ path.rows.T)[0].clip(max=-np.log(_LEAST)) * judged).sum()))
        if len(losses) - 1 - int(np.argmin(losses)) >= _PATIENCE:
            break
    return STRENGTHS[int(np.argmin(losses))]
