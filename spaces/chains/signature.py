"""Signatures of modules: equal only if the modules compute alike, derived without running them."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from types import BuiltinFunctionType, FunctionType
from typing import Any, Generic, TypeVar

import torch
from torch import fx, nn

from spaces.chains.tracing import OF_A_GRAPH

K = TypeVar("K")
V = TypeVar("V")
_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size)
_OF_EVERY_MODULE = frozenset(vars(nn.Module())) | {"training"}


class Remembered(Generic[K, V]):
    """The newest answers by key; None is the key of what is unlike anything else, which is never remembered."""

    def __init__(self, most: int = 10_000) -> None:
        self._answers: OrderedDict[K, V] = OrderedDict()
        self._most = most

    def get(self, key: K | None) -> V | None:
        """Return the answer for ``key``; None if there is none."""
        return None if key is None else self._answers.get(key)

    def put(self, key: K | None, answer: V) -> None:
        """Remember ``answer``; the oldest one makes room."""
        if key is not None:
            self._answers[key] = answer
            if len(self._answers) > self._most:
                self._answers.popitem(last=False)


def signature(module: nn.Module) -> str | None:
    """Return a key, valid in this process, that is equal for two modules only if they run alike on inputs of one shape.

    It is made of the layers' types, settings and order, the code of traced modules, and the shapes of weights, not
    their values: so two copies of a unit with the same edit get the same key. None where a module has an attribute
    whose meaning is unknown (an object of another library, a closure): it may be unlike anything else.
    """
    parts: list[str] = []
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() if _write(module, "", parts) else None


def _write(module: nn.Module, path: str, parts: list[str]) -> bool:
    kind = type(module)
    skipped = _OF_EVERY_MODULE
    if isinstance(module, fx.GraphModule):
        skipped = skipped | OF_A_GRAPH | {"meta"}
        parts.append(f"{path}: graph {module.code}")  # every traced module has a type of its own
    else:
        parts.append(f"{path}: {kind.__module__}.{kind.__qualname__} {id(kind)}")  # a notebook may redefine it
    for name, value in sorted(vars(module).items()):
        if name in skipped:
            continue
        text = _text(value)
        if text is None:
            return False
        parts.append(f"{name}={text}")
    tensors = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    parts.extend(f"{name}{tuple(tensor.shape)}{tensor.dtype}{tensor.device.type}" for name, tensor in tensors)
    if module._forward_hooks or module._forward_pre_hooks:
        return False
    return all(_write(child, f"{path}.{name}", parts) for name, child in module.named_children())


def _text(value: Any) -> str | None:
    """Return ``value`` as text that captures it completely; None if there is none."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, tuple | list):
        parts = [_text(part) for part in value]
        return None if None in parts else f"{type(value).__name__}{parts}"
    if isinstance(value, dict):
        pairs = [(_text(key), _text(part)) for key, part in value.items()]
        return None if any(None in pair for pair in pairs) else f"dict{pairs}"
    if isinstance(value, type | BuiltinFunctionType) or (isinstance(value, FunctionType) and not value.__closure__):
        return f"{getattr(value, '__module__', '')}.{value.__qualname__} {id(value)}"
    return None
