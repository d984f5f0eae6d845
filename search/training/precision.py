"""Mixed precision: autocast and loss scaling where the device gains from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from spaces.heads import Maps

N = TypeVar("N", bound=nn.Module)
_BF16_UNITS = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
"""Functions of ``torch.cpu`` that report a processor's features; there are no public ones."""
_FAST_KERNEL = 3
"""Largest kernel of depthwise convolutions whose backward pass is no slower in bf16 than in float32."""


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
        if self.device.type == "cpu":
            return _on_cpu(self.dtype)
        return torch.autocast(self.device.type, dtype=self.dtype)

    def place(self, images: Tensor | Maps) -> Any:
        """Return ``images`` ``(N, C, H, W)``, or several such maps, in the device's preferred memory layout."""
        if isinstance(images, Maps):
            return Maps(tuple(self.place(tensor) for tensor in images))
        if not self.channels_last or images.ndim != 4:
            return images
        return images.contiguous(memory_format=torch.channels_last)

    def place_network(self, network: N) -> N:
        """Return ``network`` with its weights in the device's preferred memory layout, in place."""
        if self.channels_last:
            network.to(memory_format=torch.channels_last)
        return network


class _Detours(TorchFunctionMode):
    """Works around what is many times slower in bf16 than in float32 on a CPU, or wrong there (torch 2.11 to 2.14).

    The backward pass of a depthwise convolution with a stride (5 times slower), with a kernel larger than 3x3 (2 to 4
    times) or with dilation (the gradient of its weights holds what happened to lie in memory); activations in place (3
    times slower); and attention over transposed samples while nothing needs a gradient (10 times slower: the weights
    are copied for every sample).
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func is F.hardtanh and named.get("inplace"):
            named["inplace"] = False
        elif func is F.multi_head_attention_forward:
            args = _contiguous(args)
        elif func is torch.conv2d and torch.is_grad_enabled() and _is_slow_depthwise(*args, **named):
            with torch.autocast("cpu", enabled=False):
                return func(args[0].float(), *args[1:], **named).to(torch.get_autocast_dtype("cpu"))
        return func(*args, **named)


def _contiguous(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return ``args`` with tensors laid out in order; those that are one object stay one object."""
    made = {id(one): one.contiguous() for one in args if isinstance(one, Tensor)}
    return tuple(made.get(id(one), one) for one in args)


def _is_slow_depthwise(
    _input: Tensor,
    weight: Tensor,
    _bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    _padding: object = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> bool:
    """Return whether a convolution works channel by channel and steps over points or has a kernel beyond 3x3."""
    steps = [step for given in (stride, dilation) for step in ((given,) if isinstance(given, int) else given)]
    is_depthwise = groups > 1 and groups == weight.shape[0]
    return is_depthwise and (any(step > 1 for step in steps) or max(weight.shape[2:]) > _FAST_KERNEL)


@contextmanager
def _on_cpu(dtype: torch.dtype) -> Iterator[None]:
    with torch.autocast("cpu", dtype=dtype), _Detours():
        yield


def _multiplies_bf16() -> bool:
    """Return whether the processor multiplies bf16 numbers in hardware (Intel AMX, AVX-512 BF16), so autocast pays.

    MobileNetV2, ResNet-50, ConvNeXt-T and ViT-B/16 train 1.8 to 1.9 times as fast with AVX-512 BF16 (AMD EPYC),
    EfficientNet-B0 1.2 times: ``tests/benchmarks/precision.py``.
    """
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in _BF16_UNITS)


def choose(device: torch.device, wanted: Literal["auto", "float32", "bf16", "fp16"] = "auto") -> Precision:
    """Return the precision for ``device``.

    ``auto`` is bf16 (else fp16) on CUDA, bf16 on a CPU that multiplies it in hardware, and float32 on any other. What
    stays in float32 on CUDA beside half precision may be rounded to TF32, for this whole process; ``float32`` may not.
    """
    dtype = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16, "auto": None}[wanted]
    if wanted == "auto" and device.type == "cuda":
        dtype = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if wanted == "auto" and device.type == "cpu" and _multiplies_bf16():
        dtype = torch.bfloat16
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = dtype is not None
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
