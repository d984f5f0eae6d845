"""Losses per pixel: cross-entropy, focal and Dice, in float32, ignoring void pixels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from search.data.masks import void_of

_GAMMA = 2.0


def pixel_loss(
    logits: Tensor, masks: Tensor, kind: str, label_smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """Return the loss of a batch: the sum of the terms that ``kind`` names, joined by ``+``.

    Args:
        logits: ``(N, classes, H, W)``; ``masks`` ``(N, H, W)`` with ``void_of(masks)`` for ignored pixels.
        weights: of the classes in cross-entropy and focal, ``(classes,)``.
    """
    logits = logits.float()
    void = masks == void_of(masks)
    targets = masks.long().masked_fill(void, 0)
    terms = {"cross_entropy": _cross_entropy, "focal": _focal}
    parts = [
        dice(logits, targets, void) if term == "dice" else terms[term](logits, targets, void, label_smoothing, weights)
        for term in kind.split("+")
    ]
    return torch.stack(parts).sum()


def _cross_entropy(
    logits: Tensor, targets: Tensor, void: Tensor, label_smoothing: float, weights: Tensor | None
) -> Tensor:
    marked = targets.masked_fill(void, -1)
    weights = None if weights is None else weights.to(logits)
    total = F.cross_entropy(
        logits, marked, weight=weights, ignore_index=-1, label_smoothing=label_smoothing, reduction="sum"
    )
    return total / _weight(targets, void, weights)


def _focal(logits: Tensor, targets: Tensor, void: Tensor, label_smoothing: float, weights: Tensor | None) -> Tensor:
    """Return cross-entropy in which well classified pixels count less, by ``(1 - p) ** 2``
    (https://arxiv.org/abs/1708.02002, over a softmax)."""
    weights = None if weights is None else weights.to(logits)
    losses = F.cross_entropy(
        logits,
        targets.masked_fill(void, -1),
        weight=weights,
        ignore_index=-1,
        label_smoothing=label_smoothing,
        reduction="none",
    )
    sure = logits.softmax(dim=1).gather(1, targets[:, None]).squeeze(1)
    return (losses * (1 - sure) ** _GAMMA).sum() / _weight(targets, void, weights)


def _weight(targets: Tensor, void: Tensor, weights: Tensor | None) -> Tensor:
    """Return the total weight of the labelled pixels; 1 if there are none, so that their loss is 0."""
    if weights is None:
        return (~void).sum().clamp(min=1)
    return weights[targets].masked_fill(void, 0).sum().clamp(min=1e-6)


def dice(logits: Tensor, targets: Tensor, void: Tensor) -> Tensor:
    """Return 1 minus the mean soft Dice of the classes present in the batch, over all its pixels together.

    Squares in the denominator, as in https://arxiv.org/abs/1606.04797; ``targets`` are class indices, 0 where ``void``.
    """
    shares = logits.softmax(dim=1) * ~void[:, None]
    classes = logits.shape[1]
    counted = (~void).to(shares.dtype).reshape(-1)
    places = targets.reshape(-1)
    right = shares.gather(1, targets[:, None]).reshape(-1)
    hits = torch.zeros(classes, device=logits.device, dtype=shares.dtype).scatter_add(0, places, right)
    there = torch.zeros(classes, device=logits.device, dtype=shares.dtype).scatter_add(0, places, counted)
    predicted = shares.square().sum(dim=(0, 2, 3))
    scores = 2 * hits / (predicted + there).clamp(min=1e-6)
    shown = there > 0
    mean: Tensor = ((1 - scores) * shown).sum() / shown.sum().clamp(min=1)
    return mean
