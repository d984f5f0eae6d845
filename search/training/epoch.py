"""One pass of training and one of validation; the host waits for the device only at the end of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from search.tasks._base import Meter
from search.training.memory import MicroBatches, share
from search.training.precision import Precision

Batch = tuple[Tensor, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]
Penalties = Callable[[], Mapping[str, Tensor]]
Forward = Callable[[nn.Module, Tensor], Tensor]


def whole(network: nn.Module, inputs: Tensor) -> Tensor:
    """Return the output of ``network`` for ``inputs``."""
    outputs: Tensor = network(inputs)
    return outputs


class LeaveError(Exception):
    """The worker has to leave in the middle of an epoch."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Means over an epoch: the whole loss, and its parts by name."""

    total: float
    terms: Mapping[str, float]


@dataclass(slots=True)
class Step:
    """What a training step needs beside its batch."""

    network: nn.Module
    loss: Loss
    penalties: Penalties
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    precision: Precision
    memory: MicroBatches
    forward: Forward = whole

    def run(self, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
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
        LeaveError: ``leave()`` became true; the network is in the middle of the epoch.
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


@torch.inference_mode()
def validate(
    network: nn.Module,
    batches: Iterable[Batch],
    meter: Meter,
    precision: Precision,
    memory: MicroBatches,
    forward: Forward = whole,
) -> Meter:
    """Run every batch through ``network`` in eval mode and return the filled ``meter``."""
    network.eval()
    for images, targets in batches:

        def measure(slices: Iterator[slice], images: Tensor = images, targets: Tensor = targets) -> None:
            outputs = []
            for piece in slices:
                with precision.autocast():
                    outputs.append(forward(network, precision.place(images[piece])))
            meter.update(torch.cat(outputs).float(), targets)

        memory.run(images.shape[0], measure)
    return meter
