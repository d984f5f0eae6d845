"""Logistic regression on frozen features of training and validation images, its C by five-fold cross-validation.

Where the budget does not last for all values of C, those next to the best of the coarse ones are left out.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from peers._networks import Design, last_linear, outputs, put
from peers._task import Task
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

COARSE, FINE = (1e-4, 1e-3, 1e-2, 1e-1, 1.0), (10**-0.5, 10**0.5)
FOLDS, LAST_S = 5, 1.5
"""``LAST_S``: CPU seconds kept back for the last fit."""


def run(task: Task) -> tuple[nn.Module, Design]:
    images, network = task.everything, task.network()
    name, head = last_linear(network)
    put(network, name, nn.Identity())
    features, labels = outputs(network, images.pixels, task.size).numpy(), images.labels.numpy()
    fitted = pipeline(best_strength(features, labels, task)).fit(features, labels)
    put(network, name, folded(fitted, head))
    return network, task.design()


def pipeline(strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=200))


def best_strength(features: NDArray[np.float32], labels: NDArray[np.int64], task: Task) -> float:
    """Return the C with the best cross-validated accuracy; ties go to the smaller one."""
    folds = StratifiedKFold(min(FOLDS, int(np.bincount(labels).min())), shuffle=True, random_state=task.seed)
    cuts = list(folds.split(features, labels))
    scores: dict[float, float] = {}

    def measure(strength: float) -> None:
        if task.left > LAST_S:
            fits = [
                pipeline(strength).fit(features[one], labels[one]).score(features[two], labels[two])
                for one, two in cuts
            ]
            scores[strength] = float(np.mean(fits))

    for strength in COARSE:
        measure(strength)
    best = max(scores, key=lambda strength: (scores[strength], -strength))
    for factor in FINE:
        measure(best * factor)
    return max(scores, key=lambda strength: (scores[strength], -strength))


def folded(fitted: Pipeline, head: nn.Linear) -> nn.Linear:
    """Return standardisation and regression as one linear layer in place of ``head``."""
    scaler, regression = fitted[0], fitted[-1]
    weight, bias = regression.coef_ / scaler.scale_, regression.intercept_
    bias = bias - weight @ scaler.mean_
    if len(weight) == 1:  # two classes share one score
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    layer = nn.Linear(head.in_features, len(weight))
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(bias))
    return layer
