"""Starts training with a solved head: its last layer gets the best weights for the untrained network's features."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from search.data.loader import Loader, Subset, Views
from search.data.sample import Split
from search.records.study import Json
from search.tasks._linear_probe import Solved
from search.training.features import FrozenLoader, Prefix
from search.training.frozen_units import FrozenUnits
from spaces.chains.signature import signature
from spaces.heads import last_layer
from spaces.networks.build import as_network

MOST = 5000
"""Most samples that a layer is solved on; more take time and hardly change it."""
_LARGEST = 1e4
"""Largest solved weight accepted if units learn. Networks without pretrained statistics have features near 0 in eval
mode: the first step in training mode would blow such weights up."""
_SWING = 80.0
"""How far the features, in the worst combination, may move an output (logits, or standard deviations of targets) if
units learn. With MobileNetV2, seven sets of photographs reach 14 to 55; digits of 8x8 pixels, whose features hardly
differ, 125: there the first steps swamp a solved layer (accuracy 0.82 after five epochs, 0.98 from a random one)."""
Solve = Callable[..., Solved | None]


@dataclass(frozen=True, slots=True)
class HeadStart:
    """Solves the last layer of a network's head on training samples prepared as for validation.

    Attributes:
        samples: training samples, ``in_order``.
        solve: the task's, for features ``(N, D)``, targets, the number of outputs and ``weights`` of classes; returns
            None if there is nothing to solve.
        solved: layers solved before and their ``_swing``, keyed by what they were solved on; shared by the trials of a
            process.
    """

    samples: Loader
    units: FrozenUnits
    solve: Solve
    solved: dict[tuple[str, str], tuple[Solved, float]]

    def weighing(self, weights: Tensor) -> HeadStart:
        """Return the same start for samples weighted by class, ``weights`` ``(classes,)``."""
        return replace(self, solve=partial(self.solve, weights=weights))

    def __call__(self, network: nn.Module) -> dict[str, Json]:
        """Set the weights of the last layer in place; return what the trial's record keeps of it."""
        network = as_network(network)
        parts = last_layer(network.head)
        if parts is None:
            return {}
        begin = time.perf_counter()
        front, layer = parts
        network.eval()
        batches = self.units.batches(self.samples, Split.TRAIN, Prefix(network, self.units.precision, start=True))
        # Layers with weights of their own were drawn for this trial: no other is solved on their outputs.
        like = None if any(True for _ in front.parameters()) else signature(front)
        start = self.solved.get((batches.key, like)) if like else None
        if start is None:
            rows, targets = self._rows(batches, front)
            fitted = self.solve(rows, targets, layer.out_features)
            if fitted is None:
                return {}
            start = fitted, _swing(fitted, rows)
            if like:
                self.solved[batches.key, like] = start
        solved, swing = start
        learns = network.prefix_units < len(network.units)
        if learns and (swing > _SWING or float(solved.weight.abs().max()) > _LARGEST):
            return {}
        with torch.no_grad():
            layer.weight.copy_(solved.weight)
            layer.bias.copy_(solved.bias)
        took = round(time.perf_counter() - begin, 4)
        spent = {"seconds": took, "features_seconds": round(batches.account.seconds, 4)}
        return {"head_start": {"strength": solved.strength, "samples": self.samples.count, **spent}}

    @torch.no_grad()
    def _rows(self, batches: FrozenLoader, front: nn.Module) -> tuple[Tensor, Tensor]:
        rows: list[Tensor] = []
        targets: list[Any] = []
        for features, wanted in batches.epoch(1):
            with self.units.precision.autocast():
                rows.append(front(features).float())
            targets.append(wanted)
        return torch.cat(rows), torch.cat(targets)


def _swing(solved: Solved, rows: Tensor) -> float:
    """Return how far features as long as ``rows`` ``(N, D)`` can move an output."""
    length = rows.square().sum(dim=1).mean().sqrt()
    return float(solved.weight.norm(dim=1).max() * length.cpu())


def in_order(samples: Loader) -> Loader:
    """Return at most ``MOST`` training samples in order, each in one fixed view."""
    samples.shuffle, samples.views = False, Views(1, 0)
    if samples.count <= MOST:
        return samples
    # Evenly spaced: data are often sorted by class.
    return Subset(samples, torch.linspace(0, samples.count - 1, MOST).round().long())
