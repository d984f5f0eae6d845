"""Number formats of a training step: autocast and loss scaling where the device gains from them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from spaces.heads import Maps

N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Precision:
    """How a step computes on one device.

    Attributes:
        device: where it runs.
        dtype: what autocast computes matrix products in; None means plain float32.
        scaler: scales losses for fp16 gradients; disabled (a no-op) elsewhere.
        channels_last: whether images are laid out ``(N, H, W, C)`` in memory, which tensor cores and oneDNN like.
    """

    device: torch.device
    dtype: torch.dtype | None
    scaler: torch.amp.GradScaler
    channels_last: bool

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which forward passes run."""
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def place(self, images: Tensor | Maps) -> Any:
        """Return ``images`` ``(N, C, H, W)``, or several such maps, in the memory layout that the device likes."""
        if isinstance(images, Maps):
            return Maps(tuple(self.place(tensor) for tensor in images))
        if not self.channels_last or images.ndim != 4:
            return images
        return images.contiguous(memory_format=torch.channels_last)

    def place_network(self, network: N) -> N:
        """Return ``network`` with its weights in the memory layout that the device likes, in place."""
        if self.channels_last:
            network.to(memory_format=torch.channels_last)
        return network


def choose(device: torch.device, wanted: Literal["auto", "float32", "bf16", "fp16"] = "auto") -> Precision:
    """Return the precision for ``device``: ``auto`` is bf16 (else fp16) on CUDA, float32 on the CPU."""
    dtype = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16, "auto": None}[wanted]
    if wanted == "auto" and device.type == "cuda":
        dtype = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    scaler = torch.amp.GradScaler(device.type, enabled=dtype is torch.float16)
    return Precision(device, dtype, scaler, channels_last=True)


def device_of(name: str) -> torch.device:
    """Return the device called ``name``: ``auto`` (CUDA if there is one, else the CPU), ``cpu``, ``cuda``, ``cuda:1``.

    Raises:
        ValueError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device must be auto, cpu, cuda or cuda:N, got {name!r}") from error
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise ValueError(f"device {name!r} asked for, but this machine has {count} CUDA devices; use --device auto")
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device must be auto, cpu, cuda or cuda:N, got {name!r}")
    return device
