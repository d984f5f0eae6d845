"""A CUDA device without a GPU: its tensors say that they are on ``cuda:0`` and are computed on the CPU.

Unlike fake tensors they hold numbers, so whole trainings run on it, those whose course depends on results too. It
refuses what CUDA refuses, a host's tensor among a device's, and counts what makes the host wait for the device.
Kernels, speed, memory and rounding are not those of a GPU.
"""

from __future__ import annotations

import contextlib
import functools
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

aten = torch.ops.aten
CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
_FREE = 8 << 30
_PRODUCT = ("search", "spaces", "torchvision", "transformers")
_WAIT = {
    *("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive"),
    *("bincount", "histc", "equal", "is_nonzero", "nms"),
}
"""Operations whose result, or its shape, the host has to know."""
_PUTS = ("index_put", "index_put_", "_index_put_impl_")
_TAKES_A_NUMBER = {"masked_fill", "masked_fill_", "fill_", "index_fill", "index_fill_", "copy_", "_to_copy", *_PUTS}
"""Operations beside element-wise ones to which CUDA lets the host pass a tensor without axes."""
_leaving: list[object] = []


class OnDevice(Tensor):
    """A tensor of the stand-in; C++ believes it to be on the CPU, since the autograd engine has no queue for a GPU."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> OnDevice:
        facts = {"strides": inner.stride(), "storage_offset": inner.storage_offset(), "layout": inner.layout}
        made = Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype, device=CPU, **facts)
        made.inner = inner
        return made  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"OnDevice({self.inner!r})"

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = dict(kwargs or {})
        if func in _OWN:
            return _OWN[func](*args, **named)
        if func in _MOVES:
            return _moved(func, *args, **named)
        with contextlib.ExitStack() as stack:
            if named.get("device") is not None and torch.device(named["device"]).type == "cpu":
                stack.enter_context(_to_the_host())
            stack.enter_context(torch._C.DisableTorchFunctionSubclass())
            return func(*args, **named)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func}: the stand-in device is gone")


@contextlib.contextmanager
def _to_the_host() -> Iterator[None]:
    """Let operations called inside return tensors of the host: autograd asks for the CPU too, and means the device."""
    _leaving.append(None)
    try:
        yield
    finally:
        _leaving.pop()


def _on_the_host(tensor: Tensor, **options: Any) -> Tensor:
    with _to_the_host(), torch._C.DisableTorchFunctionSubclass():
        return aten._to_copy.default(tensor, device=CPU, **options)  # type: ignore[no-any-return]


def _moved(func: Any, tensor: Tensor, *args: Any, copy: bool = False, **named: Any) -> Tensor:
    """Return what ``tensor.to``, ``cpu`` or ``cuda`` returns."""
    if func is Tensor.cpu:
        args = (CPU, *args)
    elif func is Tensor.cuda:
        args = (CUDA, *args)
    other = named.pop("other", args[0] if args else None)
    if isinstance(other, Tensor):
        args = (other.device, other.dtype, *args[1:])
    device, dtype, non_blocking, layout = torch._C._nn._parse_to(*args, **named)
    device, dtype = device or tensor.device, dtype or tensor.dtype
    if device.type == "meta":
        return torch.empty(tensor.shape, dtype=dtype, device="meta")
    is_laid_out = layout in (None, torch.preserve_format) or tensor.is_contiguous(memory_format=layout)
    if device.type == tensor.device.type and dtype == tensor.dtype and is_laid_out and not copy:
        return tensor
    options = {"dtype": dtype, "non_blocking": non_blocking} | ({} if layout is None else {"memory_format": layout})
    if device.type == "cpu":
        return _on_the_host(tensor, **options)
    with torch._C.DisableTorchFunctionSubclass():
        return aten._to_copy.default(tensor, device=CUDA, **options)  # type: ignore[no-any-return]


def _no_numpy(tensor: Tensor, *_: Any, **__: Any) -> Any:
    raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")


def _deepcopy(tensor: OnDevice, memo: dict[int, Any]) -> Tensor:
    if id(tensor) not in memo:
        with torch._C.DisableTorchFunctionSubclass(), torch.no_grad():
            made = tensor.detach().clone()
        made.__dict__.update({name: value for name, value in tensor.__dict__.items() if name != "inner"})
        memo[id(tensor)] = made.requires_grad_(tensor.requires_grad)
    return memo[id(tensor)]  # type: ignore[no-any-return]


def _one_hot(tensor: Tensor, num_classes: int) -> Tensor:
    """CUDA's does not look at the values, as the CPU's does."""
    return torch.zeros(*tensor.shape, num_classes, dtype=torch.int64, device=CUDA).scatter_(-1, tensor[..., None], 1)


_MOVES = {Tensor.to, Tensor.cpu, Tensor.cuda}
_OWN: dict[Any, Callable[..., Any]] = {
    Tensor.device.__get__: lambda _: CUDA,  # type: ignore[attr-defined]
    Tensor.is_cuda.__get__: lambda _: True,  # type: ignore[attr-defined]
    Tensor.is_cpu.__get__: lambda _: False,  # type: ignore[attr-defined]
    Tensor.get_device: lambda _: 0,
    Tensor.new_tensor: lambda own, data, dtype=None, device=CUDA, requires_grad=False: torch.tensor(
        data, dtype=dtype or own.dtype, device=device, requires_grad=requires_grad
    ),
    Tensor.tolist: lambda own: _on_the_host(own).tolist(),
    Tensor.numpy: _no_numpy,
    Tensor.__array__: _no_numpy,
    Tensor.__deepcopy__: _deepcopy,
    F.one_hot: _one_hot,
}


class _Placing(TorchFunctionMode):
    """Sends tensors of the host to the stand-in where CUDA's C++ would ask for a driver."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = dict(kwargs or {})
        if named.get("device") is not None and torch.device(named["device"]).type == "cuda":
            named["device"] = CUDA
        if func in _MOVES and not isinstance(args[0], OnDevice):
            return _moved(func, *args, **named)
        return func(*args, **named)


def _tensors(values: Any) -> list[Tensor]:
    """Return the tensors in nested arguments; ``torch.utils._pytree`` takes longer than tiny networks do."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, (tuple, list)):
        return []
    return [tensor for one in values for tensor in _tensors(one)]


def _mapped(change: Callable[[Tensor], Tensor], values: Any) -> Any:
    """Return nested arguments or results with other tensors."""
    if isinstance(values, Tensor):
        return change(values)
    if isinstance(values, dict):
        return {name: _mapped(change, one) for name, one in values.items()}
    if isinstance(values, (tuple, list)):
        return type(values)([_mapped(change, one) for one in values])
    return values


@functools.cache
def _aliases(func: Any) -> bool:
    """Return whether a result of the operation shares its memory with an argument."""
    return any(one.alias_info is not None for one in [*func._schema.arguments, *func._schema.returns])


def _is_mask(indices: Any) -> bool:
    return any(isinstance(index, Tensor) and index.dtype is torch.bool for index in indices)


class StandIn(TorchDispatchMode):
    """Computes on the CPU what is asked of the device.

    Attributes:
        waits: what made the host wait for the device, each with the line of the product that asked for it.
        refuses: whether waiting is an error, as ``torch.cuda.set_sync_debug_mode("error")`` makes it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[tuple[str, str]] = []
        self.refuses = False
        self._computes = False
        self._pinned: dict[int, Tensor] = {}  # by storage; kept, so that none is taken for a later one

    def wait(self, why: str) -> None:
        frames = traceback.extract_stack()
        own = [one for one in frames if any(f"/{part}/" in one.filename for part in _PRODUCT)]
        own = [one for one in own if "/tests/" not in one.filename]
        where = own[-1] if own else frames[0]
        if self.refuses:
            raise RuntimeError(f"called a synchronizing CUDA operation: {why}")
        self.waits.append((why, f"{'/'.join(where.filename.split('/')[-3:])}:{where.lineno}"))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = dict(kwargs or {})
        name = func._schema.name.split("::")[1]
        tensors = _tensors((args, named))
        here = [one for one in tensors if isinstance(one, OnDevice)]
        host = [one for one in tensors if not isinstance(one, OnDevice)]
        if name in ("pin_memory", "_pin_memory"):
            return self._pin(args[0].clone())
        if name == "is_pinned":
            return self._is_pinned(args[0])
        stays = self._stays(named, here, host)
        pins = named.pop("pin_memory", False)
        if name in ("_to_copy", "copy_"):
            self._check_copy(name, args, named, stays=stays)
        elif here:
            self._check(func, name, args, named, host)
        plain = _mapped(lambda one: one.inner if isinstance(one, OnDevice) else one, (args, named))
        if not here and not stays:
            made = func(*plain[0], **plain[1])
            return self._pin(made) if pins else made
        with torch.inference_mode(False):  # views of tensors from outside inference cannot be made of those from inside
            made = func(*plain[0], **plain[1])
            if name == "copy_":
                return args[0]
            if not stays:
                return self._pin(made) if pins else made
            made = _mapped(OnDevice, made)
        return return_and_correct_aliasing(func, args, named, made) if _aliases(func) else made

    def _stays(self, named: dict[str, Any], here: list[Any], host: list[Tensor]) -> bool:
        """Return whether results are on the device; asks the CPU for them."""
        device = None if named.get("device") is None else torch.device(named["device"])
        if device is not None and device.type == "cuda":
            named["device"] = CPU
        if here:
            self._computes = True
            return not _leaving
        if host:
            self._computes = False
        # A backward pass fills in what has no gradient, without saying where.
        in_backward = torch._C._current_graph_task_id() != -1
        return (device is not None and device.type == "cuda") or (in_backward and not host and self._computes)

    def _pin(self, tensor: Tensor) -> Tensor:
        self._pinned[tensor.untyped_storage()._cdata] = tensor
        return tensor

    def _is_pinned(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage()._cdata in self._pinned

    def _check_copy(self, name: str, args: Any, named: dict[str, Any], *, stays: bool) -> None:
        target, source = (args[0], args[1]) if name == "copy_" else (None, args[0])
        arrives = isinstance(target, OnDevice) if name == "copy_" else stays
        is_asked = named.get("non_blocking") or (name == "copy_" and len(args) > 2 and args[2])
        if name == "_to_copy":
            named["non_blocking"] = False
        if isinstance(source, OnDevice) == arrives:
            return
        ours = source if arrives else target
        if not is_asked or ours is None or not self._is_pinned(ours):
            self.wait(f"a copy to the {'device' if arrives else 'host'}")

    def _check(self, func: Any, name: str, args: Any, named: dict[str, Any], host: list[Tensor]) -> None:
        with_axes = [one for one in host if one.ndim]
        is_own = isinstance(args[0], OnDevice) if args else False
        if name == "index" or name in _PUTS:
            values = [] if name == "index" else [args[2]]
            if is_own and with_axes and not any(one is value for one in with_axes for value in values):
                self.wait(f"{name} by indices of the host")
                with_axes = []
            spared = bool(values) and values[0].numel() == 1 and not isinstance(values[0], OnDevice)
            if _is_mask(args[1]) and not spared:
                self.wait(f"{name} by a mask")
        if name in _WAIT or (name == "repeat_interleave" and named.get("output_size") is None):
            self.wait(name)
        takes = torch.Tag.pointwise in func.tags or name in _TAKES_A_NUMBER or name.startswith(("_foreach", "_fused"))
        if with_axes or (host and not takes and name != "index"):
            shapes = [tuple(one.shape) for one in host]
            raise RuntimeError(f"{func}: expected all tensors to be on the same device, but {shapes} are on cpu")


class _Autocast(torch.autocast):
    def __init__(self, device_type: str, *args: Any, **named: Any) -> None:
        super().__init__("cpu" if device_type == "cuda" else device_type, *args, **named)


class _Generator(torch.Generator):
    def __new__(cls, device: object = CPU) -> _Generator:
        return super().__new__(cls)


@contextlib.contextmanager
def stand_in() -> Iterator[StandIn]:
    """Make ``cuda:0`` a stand-in inside of this context; tensors that are on it are of no use afterwards."""
    device = StandIn()
    answers = {
        "_lazy_init": lambda: None,
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "is_bf16_supported": lambda including_emulation=True: True,
        "is_current_stream_capturing": lambda: False,
        "get_device_name": lambda device=None: "stand-in",
        "mem_get_info": lambda device=None: (_FREE, _FREE),
        "empty_cache": lambda: None,
        "set_sync_debug_mode": lambda mode: setattr(device, "refuses", mode == "error"),
        "Event": type("Event", (), {"record": lambda *_: None, "synchronize": lambda _: device.wait("an event")}),
        "current_stream": lambda _=None: None,
        "synchronize": lambda _=None: device.wait("synchronize"),
    }
    lifts, overwrites = torch._C._only_lift_cpu_tensors(), torch.__future__.get_overwrite_module_params_on_conversion()
    with contextlib.ExitStack() as stack:
        stack.callback(torch._C._set_only_lift_cpu_tensors, lifts)
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, overwrites)
        torch._C._set_only_lift_cpu_tensors(True)
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        for name, answer in answers.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, answer))
        stack.enter_context(mock.patch.object(torch, "autocast", _Autocast))
        stack.enter_context(mock.patch.object(torch, "Generator", _Generator))
        for name in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):
            if hasattr(torch.optim.Optimizer, name):  # the one of torch 2.14, and of 2.11
                stack.enter_context(mock.patch.object(torch.optim.Optimizer, name))
        stack.enter_context(device)
        stack.enter_context(_Placing())
        yield device
