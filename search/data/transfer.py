"""Copies between host and device for which neither waits: through pinned memory, in the order of the device's work."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Return ``tensor`` on ``device``; a copy from the host to a GPU is queued behind what the GPU has to do."""
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def fetched(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies of ``tensors`` in host memory, in their layouts; for those of a GPU the host waits once for all."""
    copies = {}
    for name, tensor in tensors.items():
        value = tensor.detach()
        copies[name] = torch.empty_like(value, device="cpu", pin_memory=value.is_cuda).copy_(value, non_blocking=True)
    for device in {tensor.device for tensor in tensors.values() if tensor.is_cuda}:
        torch.cuda.synchronize(device)
    return copies
