"""Measures the latency of a network for one batch, on its device."""

from __future__ import annotations

import time
from statistics import quantiles
from typing import NamedTuple

import torch
from torch import Tensor, nn

from search.training.precision import Precision


class Latency(NamedTuple):
    """Milliseconds of one forward pass: the ``median`` and the quartiles."""

    median: float
    lower: float
    upper: float


def measure(network: nn.Module, images: Tensor, precision: Precision, *, warmup: int, runs: int) -> Latency:
    """Return the milliseconds of one forward pass of ``images`` ``(N, C, H, W)``: median and quartiles of ``runs``.

    The network runs as in validation: evaluation mode, with autocast and memory layout of ``precision``. The device is
    synchronised before each reading of the clock, so that passes count in full. So does anything else the device does
    meanwhile: with several workers on one device, latencies are those of a busy device.

    Args:
        warmup: passes before the first measured one; they choose kernels and allocate memory.
    """
    device, was_training = precision.device, network.training
    images = precision.place(images.to(device))
    network.eval()
    seconds = []
    try:
        with torch.inference_mode(), precision.autocast():
            for _ in range(warmup + runs):
                _wait(device)
                begin = time.perf_counter()
                network(images)
                _wait(device)
                seconds.append(time.perf_counter() - begin)
    finally:
        network.train(was_training)
    counted = [1000 * one for one in seconds[warmup:]]
    lower, middle, upper = quantiles(counted, n=4, method="inclusive") if runs > 1 else counted * 3
    return Latency(middle, lower, upper)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
