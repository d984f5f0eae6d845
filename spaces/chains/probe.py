"""Facts of a chain's units, derived on tensors without data: shapes, parameters, multiply-adds, possible changes."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from spaces.chains.chain import Chain, Unit
from spaces.chains.patches import patch_grid_of
from spaces.chains.signature import Remembered, signature
from spaces.chains.tracing import is_residual
from spaces.errors import ProbeError, SurgeryError, first_line

Shape = tuple[int, ...]
# A shape that does not fit is a result here, not a fault: torch would log each with its traceback.
logging.getLogger("torch._subclasses.fake_tensor").setLevel(logging.CRITICAL)
SMALLEST_INPUT, LARGEST_INPUT = 8, 512


@dataclass(frozen=True, slots=True)
class Convolution:
    """One convolution of a unit; sizes are height and width in pixels."""

    path: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    channels: tuple[int, int]
    """In and out."""


@dataclass(frozen=True, slots=True)
class UnitFacts:
    """The facts of a unit at one input size. Shapes leave out the batch.

    Attributes:
        reduction: height of the network's input over the height of this unit's output, for tokens the distance of
            their patches; that of the preceding unit if the output has neither.
        macs: multiply-adds of one forward pass of one sample.
        activation_bytes: of the output of one sample in float32.
        can_skip: input and output have the same shape, and the form is residual or normalises both alike.
        can_end: a head can be attached after it.
    """

    name: str
    in_shape: Shape
    out_shape: Shape
    reduction: int
    parameters: int
    macs: int
    activation_bytes: int
    can_skip: bool
    can_end: bool
    convolutions: tuple[Convolution, ...]


@dataclass(frozen=True, slots=True)
class _Run:
    out_shape: Shape
    macs: int


_runs: WeakKeyDictionary[nn.Module, dict[Shape, _Run]] = WeakKeyDictionary()
_residual: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
_runs_alike: Remembered[tuple[str, Shape], _Run] = Remembered()
_residual_alike: Remembered[str, bool] = Remembered()


def run(module: nn.Module, in_shape: Shape) -> _Run:
    """Return output shape and multiply-adds of ``module`` for one input of ``in_shape`` (no batch).

    Nothing is computed: the pass uses tensors without data. The result is cached while the module lives, so that a unit
    shared by several candidates is run once.

    Raises:
        ProbeError: the module does not accept the shape; one line with its own reason.
    """
    known = _runs.setdefault(module, {})
    if in_shape in known:
        return known[in_shape]
    alike = signature(module)
    key = None if alike is None else (alike, in_shape)
    if (measured := _runs_alike.get(key)) is not None:
        known[in_shape] = measured
        return measured
    mode = module.training
    module.eval()
    try:
        output, flops = _passed(module, in_shape)
    except Exception as error:  # a network may refuse a size in any way; the reason is passed on
        reason = first_line(error)
        raise ProbeError(f"an input of shape {in_shape} does not run: {reason}") from error
    finally:
        module.train(mode)
    if not isinstance(output, Tensor):
        raise ProbeError(f"expected one tensor out, got {type(output).__name__}")
    measured = _Run(tuple(output.shape[1:]), flops // 2)
    known[in_shape] = measured
    _runs_alike.put(key, measured)
    return measured


def _passed(module: nn.Module, in_shape: Shape) -> tuple[Any, int]:
    """Return the output of ``module`` for one input of ``in_shape``, and its floating-point operations.

    Its weights are replaced by tensors on the meta device: three times faster than fake tensors, and without the fused
    attention of the CPU, for whose operations torch has no formula. Fake tensors serve where a module holds
    other tensors than weights and buffers.
    """
    tensors = dict((*module.named_parameters(), *module.named_buffers()))
    described = {name: tensor.to("meta") for name, tensor in tensors.items()}
    with torch.no_grad():
        with suppress(Exception), _Counter() as counter:
            return functional_call(module, described, (_input(module, in_shape, None),)), counter.flops
        with _fake(module) as fake, _Counter() as counter:
            return module(_input(module, in_shape, fake)), counter.flops


def run_head(head: nn.Module, shapes: Sequence[Shape]) -> int:
    """Return the multiply-adds of ``head`` for one sample; it is called as ``Network`` calls it.

    ``shapes`` are the input's: one for each of its taps, else that of the single tensor. A head whose forward
    pass depends on what it finds (proposals, for example) offers the part that can be counted as ``counted``.

    Raises:
        ProbeError: the head does not accept the shapes.
    """
    if not is_tapped(head) and not hasattr(head, "counted"):
        return run(head, shapes[-1]).macs
    mode, counter = head.training, _Counter()
    head.eval()
    try:
        with torch.no_grad(), _fake(head) as fake, counter:
            given = tuple(_input(head, shape, fake) for shape in shapes)
            getattr(head, "counted", head)(given if is_tapped(head) else given[-1])
    except Exception as error:  # a head may refuse a shape in any way; the reason is passed on
        reason = first_line(error)
        raise ProbeError(f"the head does not run on {', '.join(map(str, shapes))}: {reason}") from error
    finally:
        head.train(mode)
    return counter.flops // 2


def is_tapped(head: nn.Module) -> bool:
    """Return whether ``head`` asks for the outputs of chosen units."""
    return bool(getattr(head, "taps", ()))


def inherit(copied: nn.Module, module: nn.Module) -> None:
    """Transfer what is known of ``module`` to its copy ``copied``, so that it is not run again."""
    if module in _runs:
        _runs[copied] = dict(_runs[module])
    if module in _residual:
        _residual[copied] = _residual[module]


_NORMS = {
    torch.ops.aten.native_batch_norm,
    torch.ops.aten._native_batch_norm_legit_no_training,
    torch.ops.aten._batch_norm_no_update,
}


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types here
    """Counts floating-point operations by torch's own formulas, as its ``FlopCounterMode`` does.

    Five times faster: that one decomposes every operation to see whether something in it counts, and fake tensors
    compute a batch norm to find its shape, although its output is as large as its input.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named, operation = kwargs or {}, func.overloadpacket
        if operation in _NORMS:
            return torch.empty_like(args[0]), args[0].new_empty(0), args[0].new_empty(0)
        output = func(*args, **named)
        if operation in flop_registry:
            self.flops += flop_registry[operation](*args, **named, out_val=output)
        return output


class _fake:  # noqa: N801  # a context manager used like a function
    """Fake tensors for real modules; modules that are on the meta device already need none."""

    def __init__(self, module: nn.Module) -> None:
        first: Tensor | None = next(iter((*module.parameters(), *module.buffers())), None)
        self._mode = None if first is not None and first.is_meta else FakeTensorMode(allow_non_fake_inputs=True)

    def __enter__(self) -> FakeTensorMode | None:
        return self._mode.__enter__() if self._mode else None

    def __exit__(self, *error: Any) -> None:
        if self._mode:
            self._mode.__exit__(*error)


def _input(module: nn.Module, shape: Shape, fake: FakeTensorMode | None) -> Tensor:
    first: Tensor | None = next(iter((*module.parameters(), *module.buffers())), None)
    device = "meta" if fake is None else (first.device if first is not None else "cpu")
    # The first unit of a text encoder declares that it takes token ids.
    dtype = getattr(module, "meta", {}).get("input_dtype", torch.float32)
    return torch.empty((1, *shape), device=device, dtype=dtype)


def output_shape(chain: Chain) -> Shape:
    """Return the shape of the last unit's output, without the batch."""
    shape = chain.input_shape
    for unit in chain:
        shape = run(unit.module, shape).out_shape
    return shape


def describe(chain: Chain) -> tuple[UnitFacts, ...]:
    """Return the facts of every unit at the chain's input size.

    Raises:
        ProbeError: the input size does not fit; names the unit that fails.
    """
    facts: list[UnitFacts] = []
    shape, reduction = chain.input_shape, 1
    for unit in chain:
        try:
            measured = run(unit.module, shape)
        except ProbeError as error:
            size = "x".join(str(side) for side in chain.input_size)
            advice = "; choose a larger one" if accepts(chain, (LARGEST_INPUT, LARGEST_INPUT)) else ""
            raise ProbeError(f"input size {size} does not fit at {unit.name}: {error}{advice}") from error
        reduction = _reduction(chain, measured.out_shape, reduction)
        facts.append(_facts(chain, unit, shape, measured, reduction))
        shape = measured.out_shape
    return tuple(facts)


def _facts(chain: Chain, unit: Unit, shape: Shape, measured: _Run, reduction: int) -> UnitFacts:
    elements = math.prod(measured.out_shape)
    return UnitFacts(
        name=unit.name,
        in_shape=shape,
        out_shape=measured.out_shape,
        reduction=reduction,
        parameters=sum(parameter.numel() for parameter in unit.module.parameters()),
        macs=measured.macs,
        activation_bytes=4 * elements,
        can_skip=shape == measured.out_shape and (residual(unit.module) or _is_named(unit, chain, "skippable")),
        can_end=len(measured.out_shape) in (1, 2, 3) and elements > 0,
        convolutions=convolutions(unit.module),
    )


def _is_named(unit: Unit, chain: Chain, fact: str) -> bool:
    named = chain.facts.get(fact, ())
    return isinstance(named, Collection) and unit.name in named


def _reduction(chain: Chain, shape: Shape, before: int) -> int:
    if len(shape) == 2 and len(chain.input_shape) == 3 and shape[0] > 1:
        try:
            rows, _ = patch_grid_of(chain, shape[0])
        except SurgeryError:
            return before
        return max(round(chain.input_size[0] / rows), 1)
    if len(shape) != 3:
        return before
    height = shape[0] if is_channels_last(chain, shape) else shape[1]
    return max(round(chain.input_size[0] / max(height, 1)), 1)


def is_channels_last(chain: Chain, shape: Shape) -> bool:
    """Return whether a 3-dimensional feature shape is ``(H, W, C)``, as Swin networks have it.

    Recognised by which two sides are the input's, equally reduced; by the chain's fact ``channels_last`` where both
    readings fit.
    """
    if len(shape) != 3 or 0 in shape:
        return False
    height, width = chain.input_size
    last, first = (_alike(height / shape[index], width / shape[index + 1]) for index in (0, 1))
    return bool(chain.facts.get("channels_last")) if first == last else last


def _alike(down: float, across: float) -> bool:
    """Return whether two reductions are equal, but for the rounding of odd sides."""
    return min(down, across) >= 0.5 and max(down, across) <= 1.5 * min(down, across)


def residual(module: nn.Module) -> bool:
    """Return whether the module adds its input to its result; of equivalent modules only one is traced."""
    if module not in _residual:
        alike = signature(module)
        known = _residual_alike.get(alike)
        _residual[module] = is_residual(module) if known is None else known
        _residual_alike.put(alike, _residual[module])
    return _residual[module]


def convolutions(module: nn.Module) -> tuple[Convolution, ...]:
    """Return the 2-d convolutions inside ``module``, by path."""
    return tuple(
        Convolution(
            path,
            _pair(layer.kernel_size),
            _pair(layer.stride),
            _pair(layer.dilation),
            layer.groups,
            (layer.in_channels, layer.out_channels),
        )
        for path, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d)
    )


def _pair(value: Sequence[int]) -> tuple[int, int]:
    return (int(value[0]), int(value[1]))


def accepts(chain: Chain, input_size: tuple[int, int]) -> bool:
    """Return whether the chain runs on inputs of ``input_size`` (height, width)."""
    shape: Shape = replace(chain, input_size=input_size).input_shape
    try:
        for unit in chain:
            shape = run(unit.module, shape).out_shape
            if 0 in shape:
                return False
    except ProbeError:
        return False
    return True


def features_shape(chain: Chain, shape: Shape) -> Shape:
    """Return an output's ``shape`` as shown to users: without the mask that tokens carry as a last channel.

    DistilBERT's tokens are ``16x384`` although its units pass on ``16x385``.
    """
    return (*shape[:-1], shape[-1] - 1) if chain.facts.get("masked") and len(shape) == 2 else shape


def smallest_input(chain: Chain) -> int:
    """Return the smallest square input in pixels that the chain accepts, by bisection over 8 to 512.

    Raises:
        ProbeError: it accepts none of these.
    """
    if not accepts(chain, (LARGEST_INPUT, LARGEST_INPUT)):
        raise ProbeError(f"this network accepts no square input of up to {LARGEST_INPUT} pixels")
    low, high = SMALLEST_INPUT - 1, LARGEST_INPUT
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if accepts(chain, (middle, middle)) else (middle, high)
    return high


_sides: WeakKeyDictionary[nn.Module, dict[Shape, dict[str, int]]] = WeakKeyDictionary()


def input_heights(module: nn.Module, in_shape: Shape) -> dict[str, int]:
    """Return the input height, in pixels, of each 2-d convolution and pool in ``module``, by path.

    Layers with the same height are parallel or consecutive at one resolution; a reduction in between makes it smaller.

    Raises:
        ProbeError: the module does not accept the shape.
    """
    known = _sides.setdefault(module, {})
    if in_shape not in known:
        heights: dict[str, int] = {}

        def note(path: str, given: tuple[Tensor, ...]) -> None:
            heights.setdefault(path, int(given[0].shape[-2]))

        hooks = [
            layer.register_forward_pre_hook(lambda _, given, path=path: note(path, given))
            for path, layer in module.named_modules()
            if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d)
        ]
        try:
            _runs.pop(module, None)
            run(module, in_shape)
        finally:
            for hook in hooks:
                hook.remove()
        known[in_shape] = heights
    return known[in_shape]
