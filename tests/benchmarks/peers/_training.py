"""The loop that all contenders of gradient descent share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from peers._images import Images, batches
from peers._networks import train_mode
from torch import nn
from torchvision.transforms import v2

BATCH = 32


class Clock(Protocol):
    """Says before every step how far the training is, from 0 to 1."""

    def progress(self) -> float: ...


def cosine(progress: float) -> float:
    """Return the share of the rate: a short warm-up, then half a cosine down to 0."""
    return min(1.0, (progress + 0.005) / 0.05) * (1 + math.cos(math.pi * progress)) / 2


def train(
    network: nn.Module,
    images: Images,
    augment: v2.Transform,
    optimizer: torch.optim.Optimizer,
    clock: Clock,
    *,
    frozen: Sequence[nn.Module] = (),
    schedule: Callable[[torch.optim.Optimizer, float], None],
    after_step: Callable[[nn.Module, int], None] = lambda network, step: None,
) -> None:
    """Train until ``clock`` is at 1; ``schedule`` sets the rates before a step, ``after_step`` is told its number."""
    supply, step = batches(images, augment, BATCH), 0
    while (progress := clock.progress()) < 1:
        train_mode(network, frozen)
        schedule(optimizer, progress)
        pixels, labels = next(supply)
        loss = nn.functional.cross_entropy(network(pixels), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        after_step(network, step)


def scaled_by(factor: Callable[[float], float]) -> Callable[[torch.optim.Optimizer, float], None]:
    """Return a schedule that sets every group's rate to its ``peak`` times ``factor(progress)``."""

    def schedule(optimizer: torch.optim.Optimizer, progress: float) -> None:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * factor(progress)

    return schedule
