"""The head starts solved: its last layer gets the best weights for what the network gives before it is trained."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from search.data.feed import Feed, Part, Views
from search.records import Json
from search.tasks._linear_probe import Solved
from search.training.features import FrozenBatches
from search.training.precision import Precision
from spaces.build import Network
from spaces.heads import last_layer
from spaces.signature import signature

MOST = 5000
"""Samples that a layer is solved on; more cost time and hardly move it."""
Solve = Callable[[Tensor, Tensor, int], Solved | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadStart:
    """Solves the last layer of a network's head on training samples as validation would show them.

    Attributes:
        behind: gives samples as the network's units, as they are, turn them into features.
        solve: the task's, for features ``(N, D)``, targets and the number of outputs; None where there is nothing to solve.
        solved: layers that were solved before, by what they were solved on; shared by the trials of a process.
    """

    behind: Callable[[Network], FrozenBatches]
    solve: Solve
    solved: dict[tuple[str, str | None], Solved | None]
    precision: Precision

    def __call__(self, network: nn.Module) -> dict[str, Json]:
        """Set the weights of the last layer in place; return what the trial's record shall say of it."""
        if not isinstance(network, Network):
            raise TypeError(f"expected a Network, got {type(network).__name__}")
        parts = last_layer(network.head)
        if parts is None:
            return {}
        begin = time.perf_counter()
        front, layer = parts
        network.eval()
        batches = self.behind(network)
        # Layers that have weights of their own were drawn for this trial alone.
        like = None if any(True for _ in front.parameters()) else signature(front)
        key = (batches.key, like)
        found = self.solved.get(key) if like is not None else None
        if found is None:
            found = self.solve(*self._rows(batches, front), layer.out_features)
            if like is not None and found is not None:
                self.solved[key] = found
        if found is None:
            return {}
        with torch.no_grad():
            layer.weight.copy_(found.weight)
            layer.bias.copy_(found.bias)
        took = round(time.perf_counter() - begin, 4)
        return {"head_start": {"strength": found.strength, "samples": batches.batches.count, "seconds": took}}

    @torch.no_grad()
    def _rows(self, batches: FrozenBatches, front: nn.Module) -> tuple[Tensor, Tensor]:
        rows, targets = [], []
        for features, wanted in batches.epoch(1):
            with self.precision.autocast():
                rows.append(front(features).float())
            targets.append(wanted)
        return torch.cat(rows), torch.cat(targets)


def in_order(samples: Feed) -> Feed:
    """Return training samples in their order, ``MOST`` of them at most, each as one fixed view."""
    samples.shuffle, samples.views = False, Views(1, 0)
    if samples.count <= MOST:
        return samples
    # Evenly spread: data are often sorted by class.
    return Part(samples, torch.linspace(0, samples.count - 1, MOST).round().long())
