"""Linear probe: accuracy of logistic regression on the features, cross-validated."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from search.ranking.estimators._base import Estimator, Evidence

_FOLDS = 5
_STEPS = 200
_STRENGTH = 0.01
"""Inverse strength of the penalty on standardised features: there are often more of them than samples."""


class LinearProbe(Estimator):
    """Mean accuracy over stratified folds: nearly what training only a new classifier would reach.

    Alain and Bengio 2016 (https://arxiv.org/abs/1610.01644).
    """

    name, title, rank = "linear_probe", "linear probe", 2
    source = "https://arxiv.org/abs/1610.01644"
    of_layers = False

    def score(self, evidence: Evidence) -> float:
        folds = min(_FOLDS, int(np.bincount(evidence.labels, minlength=evidence.classes).min()))
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=_STRENGTH, max_iter=_STEPS))
        parts = StratifiedKFold(folds, shuffle=True, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # its accuracy has settled long before its weights
            accuracies = cross_val_score(probe, evidence.features, evidence.labels, cv=parts)
        return float(accuracies.mean())


estimator = LinearProbe()
