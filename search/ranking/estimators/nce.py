"""NCE: how much the pretrained network's own answers say of the labels."""

from __future__ import annotations

import numpy as np

from search.ranking.estimators._base import Estimator, Evidence


class NegativeConditionalEntropy(Estimator):
    """``-H(Y | Z)`` in nats, ``Z`` the class that the pretrained network names.

    Tran et al. 2019 (https://arxiv.org/abs/1908.08142). At most 0.
    """

    name, title, rank = "nce", "NCE", 5
    source = "https://arxiv.org/abs/1908.08142"
    reads_classes, of_layers = True, False

    def score(self, evidence: Evidence) -> float:
        if evidence.probabilities is None:
            raise ValueError("NCE needs the pretrained network's classes")
        named = evidence.probabilities.argmax(axis=1)
        _, groups = np.unique(named, return_inverse=True)
        joint = np.zeros((groups.max() + 1, evidence.classes))
        np.add.at(joint, (groups, evidence.labels), 1 / len(groups))
        given = joint / joint.sum(axis=1, keepdims=True)
        return float((joint * np.log(np.where(joint > 0, given, 1))).sum())


estimator = NegativeConditionalEntropy()
