"""Bootstrap of a validation metric: how much it would vary with other validation samples.

Every trial of a study draws the same bootstrap samples, so that two trials can be compared draw by draw: samples that
both find easy, or hard, cancel out (https://doi.org/10.1201/9780429246593, the paired bootstrap).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

REPLICATES = 200
"""Replicates; with this many, the standard error is accurate to 5 %."""
_AT_ONCE = 4_000_000
"""Most weights held in memory at once."""


def weights(samples: int, replicates: int = REPLICATES) -> Iterator[Tensor]:
    """Yield how often each sample is drawn in each replicate, ``(R, samples)`` float64, a few replicates at a time.

    A replicate depends only on its number and on ``samples``.
    """
    step = max(_AT_ONCE // max(samples, 1), 1)
    for start in range(0, replicates, step):
        rows = []
        for number in range(start, min(start + step, replicates)):
            drawn = torch.randint(samples, (samples,), generator=torch.Generator().manual_seed(number))
            rows.append(torch.bincount(drawn, minlength=samples))
        yield torch.stack(rows).double()


def by_group(weights: Tensor, groups: Tensor, count: int) -> Tensor:
    """Return the sums of ``weights`` ``(R, N)`` over samples of the same group ``(N,)``: ``(R, count)``."""
    return weights.new_zeros(len(weights), count).index_add_(1, groups, weights)


def share(weights: Tensor, values: Tensor) -> Tensor:
    """Return the weighted means ``(R,)`` of ``values`` ``(N,)``."""
    return weights @ values.to(weights) / weights.sum(dim=1)


def mean_of(values: Tensor, used: Tensor) -> Tensor:
    """Return the mean of each row of ``values`` ``(R, C)`` over the entries that are ``used``; 0 if none is."""
    return (values * used).sum(dim=1) / used.sum(dim=1).clamp(min=1)


def average_precision(scores: Tensor, there: Tensor, weights: Tensor) -> Tensor:
    """Return the average precision ``(R,)`` of ``scores`` ``(N,)`` under ``weights`` ``(R, N)``; NaN without positives.

    As scikit-learn defines it: the sum of precisions, each weighted by the recall it adds; equal scores are one
    threshold.

    Args:
        there: 1 where the label is present, else 0.
    """
    order = scores.argsort(descending=True, stable=True)
    ranked, own, positive = scores[order], weights[:, order], there[order].to(weights)
    ends = torch.ones(len(ranked), dtype=torch.bool)
    ends[:-1] = ranked[1:] != ranked[:-1]
    hits, predicted = (own * positive).cumsum(dim=1)[:, ends], own.cumsum(dim=1)[:, ends]
    total = hits[:, -1:]
    gained = hits.diff(dim=1, prepend=hits.new_zeros(len(hits), 1))
    return (hits / predicted.clamp(min=1e-12) * gained).sum(dim=1) / total.squeeze(1)
