"""One pass of training and one of validation; the host waits for the device only at the end of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from search.data.targets import Targets
from search.tasks._base import Evaluator
from search.training.out_of_memory import MicroBatches, share
from search.training.precision import Precision
from spaces.heads import Maps

Inputs = Tensor | Maps
Batch = tuple[Inputs, Targets]
Loss = Callable[[Any, Any], Tensor]
"""Of a network's outputs and targets: tensors, or whatever the task's head returns and its formats define."""
Penalties = Callable[[], Mapping[str, Tensor]]
Forward = Callable[[nn.Module, Any], Any]


def whole(network: nn.Module, inputs: Inputs) -> Any:
    """Return the output of ``network`` for ``inputs``."""
    return network(inputs)


class LeaveError(Exception):
    """The worker has to stop in the middle of an epoch."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Means over an epoch: the whole loss, and its parts by name."""

    total: float
    terms: Mapping[str, float]


@dataclass(slots=True)
class Step:
    """What a training step needs besides its batch."""

    network: nn.Module
    loss: Loss
    penalties: Penalties
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    precision: Precision
    memory: MicroBatches
    forward: Forward = whole

    def run(self, images: Inputs, targets: Targets) -> dict[str, Tensor]:
        """Take one step and return its loss terms, still on the device."""
        terms: dict[str, Tensor] = {}
        samples = images.shape[0]

        def accumulate(slices: Iterator[slice]) -> None:
            terms.clear()
            self.optimizer.zero_grad(set_to_none=True)
            for piece in slices:
                weight = share(images[piece], samples)
                with self.precision.autocast():
                    outputs = self.forward(self.network, self.precision.place(images[piece]))
                    loss = self.loss(outputs, targets[piece]) * weight
                self.precision.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
                terms["task"] = terms.get("task", 0) + loss.detach()
            extra = dict(self.penalties())
            if extra:
                self.precision.scaler.scale(torch.stack(list(extra.values())).sum()).backward()  # type: ignore[no-untyped-call]
            terms.update({name: value.detach() for name, value in extra.items()})

        self.memory.run(samples, accumulate)
        self.precision.scaler.step(self.optimizer)
        self.precision.scaler.update()
        self.schedule.step()
        return terms


def train(step: Step, batches: Iterable[Batch], leave: Callable[[], bool]) -> Losses:
    """Train on every batch once.

    Raises:
        LeaveError: ``leave()`` became true in the middle of the epoch.
    """
    step.network.train()
    sums: dict[str, Tensor] = {}
    samples = 0
    for images, targets in batches:
        if leave():
            raise LeaveError
        for name, value in step.run(images, targets).items():
            sums[name] = sums.get(name, 0) + value * images.shape[0]
        samples += images.shape[0]
    means = dict(zip(sums, (torch.stack(list(sums.values())) / max(samples, 1)).tolist(), strict=True)) if sums else {}
    return Losses(sum(means.values()), means)


def outputs_for(
    images: Inputs, network: nn.Module, precision: Precision, memory: MicroBatches, forward: Forward = whole
) -> list[tuple[slice, Any]]:
    """Return the outputs of ``network`` for a batch, each with the samples it is for: in pieces if memory is short."""
    pieces: list[tuple[slice, Any]] = []

    def run(slices: Iterator[slice]) -> None:
        pieces.clear()
        for piece in slices:
            with precision.autocast():
                pieces.append((piece, forward(network, precision.place(images[piece]))))

    memory.run(images.shape[0], run)
    return pieces


@torch.inference_mode()
def validate(
    network: nn.Module,
    batches: Iterable[Batch],
    evaluator: Evaluator,
    precision: Precision,
    memory: MicroBatches,
    forward: Forward = whole,
) -> Evaluator:
    """Run every batch through ``network`` in eval mode and return the filled ``evaluator``."""
    network.eval()
    for images, targets in batches:
        pieces = outputs_for(images, network, precision, memory, forward)
        if isinstance(pieces[0][1], Tensor):
            evaluator.update(torch.cat([output for _, output in pieces]).float(), targets)
        else:
            for piece, output in pieces:
                evaluator.update(output, targets[piece])
    return evaluator
