"""COCO's metrics of images with any weights: matched once, accumulated for every weighting.

The rules are those of https://github.com/cocodataset/cocoapi for all areas and 100 boxes per image and class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from search.detection.detectors import DETECTIONS

OVERLAPS = torch.from_numpy(np.linspace(0.5, 0.95, 10))
RECALLS = torch.from_numpy(np.linspace(0, 1, 101))
"""COCO's thresholds, to the last bit: a recall of 0.3 must not miss the threshold of 0.3."""


class Matches(NamedTuple):
    """Predicted boxes of one class over all images, the most confident first.

    Attributes:
        image: index of each predicted box's image, ``(D,)``.
        hit, miss: whether it matched a true box, or none, at each of ``OVERLAPS``: ``(10, D)``; neither if it lies in a
            crowd.
        true: number of true boxes, by image.
    """

    image: Tensor
    hit: Tensor
    miss: Tensor
    true: Tensor


def matched(predicted: Sequence[Mapping[str, Tensor]], true: Sequence[Mapping[str, Tensor]], label: int) -> Matches:
    """Match the predicted boxes of the class ``label`` with the true ones, image by image."""
    images, scores, hits, misses, there = [], [], [], [], []
    for index, (guess, real) in enumerate(zip(predicted, true, strict=True)):
        own, wanted = guess["labels"] == label, real["labels"] == label
        crowd = real["iscrowd"][wanted].bool()
        there.append(int((~crowd).sum()))
        if not own.any():
            continue
        order = guess["scores"][own].argsort(descending=True, stable=True)[:DETECTIONS]
        matches = _match(guess["boxes"][own][order].double(), real["boxes"][wanted].double(), crowd)
        images.append(torch.full((len(order),), index))
        scores.append(guess["scores"][own][order])
        hits.append(matches == _HIT)
        misses.append(matches == _MISS)
    if not images:
        none = torch.zeros(len(OVERLAPS), 0, dtype=torch.bool)
        return Matches(torch.zeros(0, dtype=torch.int64), none, none, torch.tensor(there))
    surest = torch.cat(scores).argsort(descending=True, stable=True)
    hit, miss = torch.cat(hits, dim=1)[:, surest], torch.cat(misses, dim=1)[:, surest]
    return Matches(torch.cat(images)[surest], hit, miss, torch.tensor(there))


_MISS, _HIT, _IGNORED = 0, 1, 2


def _match(predicted: Tensor, true: Tensor, crowd: Tensor) -> Tensor:
    """Return ``(10, D)``: whether each predicted box, the most confident first, is a hit, a miss, or in a crowd."""
    matches = np.zeros((len(OVERLAPS), len(predicted)), dtype=np.int64)
    if not len(true):
        return torch.from_numpy(matches)
    # In NumPy: on arrays this small, each of PyTorch's operations costs ten times as much.
    overlaps, limits = _overlaps(predicted, true, crowd).numpy(), OVERLAPS.numpy()[:, None] - 1e-10
    single, many = ~crowd.numpy(), crowd.numpy()
    free = np.ones((len(OVERLAPS), len(true)), dtype=bool)
    for index in np.flatnonzero(overlaps.max(axis=1) >= limits[0, 0]):
        reached = overlaps[index] >= limits
        able = reached & free & single
        # Of equal overlaps the last one, as in COCO's own loop.
        best = np.where(able, overlaps[index], -1.0)
        chosen = best.shape[1] - 1 - best[:, ::-1].argmax(axis=1)
        rows = np.flatnonzero(able.any(axis=1))
        matches[rows, index] = _HIT
        free[rows, chosen[rows]] = False
        if many.any():
            matches[(reached & many).any(axis=1) & (matches[:, index] == _MISS), index] = _IGNORED
    return torch.from_numpy(matches)


def _overlaps(predicted: Tensor, true: Tensor, crowd: Tensor) -> Tensor:
    """Return intersection over union ``(D, T)``; in a crowd, over the predicted box alone."""
    corner = torch.minimum(predicted[:, None, 2:], true[None, :, 2:]) - torch.maximum(
        predicted[:, None, :2], true[None, :, :2]
    )
    both = corner.clamp(min=0).prod(dim=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(dim=1) for boxes in (predicted, true)]
    union = torch.where(crowd[None], areas[0][:, None], areas[0][:, None] + areas[1][None] - both)
    return both / union.clamp(min=1e-300)


def measures(matches: Matches, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return average precision and recall of a class at each of ``OVERLAPS``, each ``(R, 10)``; NaN without a true box.

    Args:
        weights: how often each image counts, ``(R, images)`` float64.
    """
    total = weights @ matches.true.double()
    own = weights[:, matches.image]
    precisions, recalls = [], []
    for hit, miss in zip(matches.hit, matches.miss, strict=True):
        hits, misses = (own * hit).cumsum(dim=1), (own * miss).cumsum(dim=1)
        if not hits.shape[1]:
            hits = misses = weights.new_zeros(len(weights), 1)
        recall = hits / total[:, None]
        precision = hits / (hits + misses).clamp(min=1e-12)
        envelope = precision.flip(1).cummax(dim=1).values.flip(1)
        # Weights of 0 make steps of no height, which change neither envelope nor recall.
        places = torch.searchsorted(recall.contiguous(), RECALLS.expand(len(recall), -1).contiguous())
        inside = places < recall.shape[1]
        values = envelope.gather(1, places.clamp(max=recall.shape[1] - 1)) * inside
        precisions.append(values.mean(dim=1))
        recalls.append(recall[:, -1])
    there = (total > 0)[:, None]
    return tuple(  # type: ignore[return-value]
        torch.stack(rows, dim=1).where(there, torch.nan) for rows in (precisions, recalls)
    )
