"""k nearest neighbours: how often the nearest features belong to an input's class."""

from __future__ import annotations

import numpy as np

from search.ranking.estimators._base import Estimator, Evidence

_NEIGHBOURS = 5
_CHUNK = 1024


class NearestNeighbours(Estimator):
    """Leave-one-out accuracy of a vote of the five nearest neighbours, weighted by cosine similarity.

    As in Wu et al. 2018 (https://arxiv.org/abs/1805.01978); nothing is fitted.
    """

    name, title, rank = "knn", "k-NN", 3
    source = "https://arxiv.org/abs/1805.01978"

    def score(self, evidence: Evidence) -> float:
        lengths = np.linalg.norm(evidence.features, axis=1, keepdims=True)
        unit = evidence.features / np.maximum(lengths, 1e-12)
        count = min(_NEIGHBOURS, len(unit) - 1)
        targets = evidence.one_hot
        hits = 0
        for start in range(0, len(unit), _CHUNK):
            likeness = unit[start : start + _CHUNK] @ unit.T
            rows = np.arange(len(likeness))
            likeness[rows, start + rows] = -np.inf  # itself
            nearest = np.argpartition(-likeness, count - 1, axis=1)[:, :count]
            weights = 1 + np.take_along_axis(likeness, nearest, axis=1)  # from 0 for opposites to 2 for the same
            votes = (targets[nearest] * weights[..., None]).sum(axis=1)
            hits += int((votes.argmax(axis=1) == evidence.labels[start : start + _CHUNK]).sum())
        return hits / len(unit)


estimator = NearestNeighbours()
