"""LEEP: how well the labels are told from the pretrained network's own answers, uncertain as they are."""

from __future__ import annotations

import numpy as np

from search.ranking.estimators._base import Estimator, Evidence


class Leep(Estimator):
    """Mean log of ``sum_z P(y | z) P(z | x)``, with ``P(y | z)`` counted from the network's probabilities.

    Nguyen et al. 2020 (https://arxiv.org/abs/2002.12462). At most 0.
    """

    name, title, rank = "leep", "LEEP", 4
    source = "https://arxiv.org/abs/2002.12462"
    reads_classes, of_layers = True, False

    def score(self, evidence: Evidence) -> float:
        if evidence.probabilities is None:
            raise ValueError("LEEP needs the pretrained network's classes")
        joint = evidence.one_hot.T @ evidence.probabilities / len(evidence.labels)
        given = joint / np.maximum(joint.sum(axis=0, keepdims=True), 1e-300)
        expected = evidence.probabilities @ given.T
        picked = expected[np.arange(len(evidence.labels)), evidence.labels]
        return float(np.log(np.maximum(picked, 1e-300)).mean())


estimator = Leep()
