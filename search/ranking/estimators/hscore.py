"""H-score with shrinkage: how far apart classes lie, in units of the features' own spread."""

from __future__ import annotations

import numpy as np
from sklearn.covariance import ledoit_wolf

from search.ranking.estimators._base import Estimator, Evidence


class HScore(Estimator):
    """``tr(S^-1 B) (1 - a)``: ``S`` the features' covariance shrunk by ``a``, ``B`` that of the class means.

    Bao et al. 2019 (https://arxiv.org/abs/2212.10082) with the shrinkage of Ledoit and Wolf, as Ibrahim et al. 2021
    (https://arxiv.org/abs/2110.06893) correct it: without it, the score breaks down for more features than samples.
    """

    name, title, rank = "hscore", "H-score", 1
    source = "https://arxiv.org/abs/2110.06893"

    def score(self, evidence: Evidence) -> float:
        centred = evidence.features - evidence.features.mean(axis=0)
        covariance, shrinkage = ledoit_wolf(centred, assume_centered=True)
        counts = np.bincount(evidence.labels, minlength=evidence.classes)
        means = evidence.one_hot.T @ centred / counts[:, None]
        roots = means * np.sqrt(counts / len(centred))[:, None]  # B = roots' roots, of few rows
        try:
            inverse = np.linalg.solve(covariance, roots.T)
        except np.linalg.LinAlgError:  # features that never change
            inverse = np.linalg.lstsq(covariance, roots.T, rcond=None)[0]
        return float((1 - shrinkage) * (roots.T * inverse).sum())


estimator = HScore()
