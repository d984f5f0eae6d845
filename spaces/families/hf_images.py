"""Image networks of Hugging Face, read from the calls of one forward pass: modules that hand one tensor on.

``torch.fx`` cannot trace them, and their module trees differ. What they share is that images pass through one module
after another: an embedding, stages or an encoder, their layers, perhaps a last norm. A module is split into the modules
inside it where one's output is the very tensor that the next one receives, from its own input to its own output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from inspect import signature
from operator import getitem
from typing import Any

import torch
from torch import Tensor, fx, nn

from spaces.chains import probe
from spaces.chains.chain import Chain, Unit
from spaces.chains.patches import PREFIX_TOKENS
from spaces.chains.segments import is_norm_layer
from spaces.errors import ChainError, ProbeError, first_line
from spaces.families import _listed
from spaces.families._base import Family
from spaces.families._listed import lacks

_INTERPOLATE = "interpolate_pos_encoding"
_CLASS_TOKENS = ("cls_token", "class_embedding", "class_token")
_OTHER_BATCH, _FEWEST = 3, 3
_LISTS = (nn.ModuleList, nn.Sequential)


@dataclass(slots=True)
class _Call:
    """A call of one module during the forward pass.

    Attributes:
        versions: of the tensors among its arguments by identity: a tensor that is changed in place is another one.
            ``version`` is that of its result.
        given: the tensor among its arguments that the module before it handed on.
        inside: the calls that it made itself.
    """

    path: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    versions: dict[int, int]
    output: Any = None
    version: int = 0
    given: Any = None
    inside: list[_Call] = field(default_factory=list)

    @property
    def result(self) -> Tensor | None:
        """The tensor that it hands on: its output, or the first one in that."""
        return first_tensor(self.output)

    def receives(self, tensor: Tensor, version: int) -> bool:
        return self.versions.get(id(tensor)) == version


class HuggingFaceImages(Family):
    """DINOv2, DINOv3, SigLIP, CLIP, Swin, ConvNeXt, BEiT, ResNet and whatever else hands one tensor on.

    The chain is compared with the network itself on random images before it is used.
    """

    name = "hf_images"

    def matches(self, network: nn.Module) -> bool:
        if not type(network).__module__.startswith("transformers.models.") or _listed.comes_from(network, "ViTModel"):
            return False
        return getattr(network, "main_input_name", "") == "pixel_values"

    def adapt(self, network: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return _listed.stripped(network, state)

    def chain(self, network: nn.Module, input_size: tuple[int, int]) -> Chain:
        options = _options(network, input_size)
        mode = network.training
        units: list[Unit] = []
        network.eval()
        try:
            whole = _recorded(network, _images(network, 1, input_size), options)
            units = [_unit(network, calls) for calls in _grouped(network, _spine(network, whole))]
            chain = Chain(tuple(units), None, input_size)
            _check_equal(network, chain, options)
            own = chain.state_dict()
            unused = {name: value for name, value in network.state_dict().items() if name not in own}
            return replace(chain, facts=_facts(network, units, chain), unused=unused)
        finally:
            for module in (network, *(unit.module for unit in units)):
                module.train(mode)


def first_tensor(output: Any) -> Tensor | None:
    """Return ``output``, or the first entry of a tuple or of the library's own kind of output, if that is a tensor."""
    while isinstance(output, tuple) or hasattr(output, "to_tuple"):
        if not len(output):
            return None
        output = output[0]
    return output if isinstance(output, Tensor) else None


def _depth(output: Any) -> int:
    """Return how often the first entry has to be taken before it is a tensor."""
    return 0 if isinstance(output, Tensor) else 1 + _depth(output[0])


class Constants(nn.Module):
    """Tensors that follow from the size of the images alone, such as rotary positions; no weights."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        super().__init__()
        for index, tensor in enumerate(tensors):
            self.register_buffer(f"c{index}", tensor.detach().clone(), persistent=False)

    def forward(self) -> tuple[Tensor, ...]:
        return tuple(self.buffers())


def _options(network: nn.Module, input_size: tuple[int, int]) -> dict[str, bool]:
    """Return what the forward pass needs besides images: positions for another size than the network's own."""
    config: Any = network.config
    own = getattr(config, "image_size", None)
    same = own is not None and tuple(own if isinstance(own, list | tuple) else (own, own)) == tuple(input_size)
    return {} if same or _INTERPOLATE not in signature(type(network).forward).parameters else {_INTERPOLATE: True}


def _images(network: nn.Module, count: int, input_size: tuple[int, int]) -> Tensor:
    first = next(network.parameters())
    generator = None if first.is_meta else torch.Generator(first.device).manual_seed(0)
    images = torch.empty((count, 3, *input_size), dtype=first.dtype, device=first.device)
    return images.normal_(generator=generator)


def _recorded(network: nn.Module, images: Tensor, options: Mapping[str, bool]) -> _Call:
    """Return the calls of one forward pass.

    Raises:
        ProbeError: the network does not run on them.
    """
    names = {module: path for path, module in network.named_modules()}
    root = _Call("", (), {}, {})
    open_calls = [root]

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        versions = {id(one): one._version for one in (*args, *kwargs.values()) if isinstance(one, Tensor)}
        open_calls.append(_Call(names[module], args, dict(kwargs), versions))

    def after(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        del module, args, kwargs
        call = open_calls.pop()
        call.output = output
        call.version = call.result._version if call.result is not None else 0
        open_calls[-1].inside.append(call)

    with ExitStack() as stack, torch.no_grad():
        for module in names:
            stack.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
            stack.callback(module.register_forward_hook(after, with_kwargs=True).remove)
        try:
            network(images, **options)
        except Exception as error:  # a network of unknown kind may fail in any way
            size = "x".join(str(side) for side in images.shape[-2:])
            reason = first_line(error)
            raise ProbeError(f"{type(network).__name__} does not run on images of {size} pixels: {reason}") from error
    (whole,) = root.inside
    return whole


def _spine(network: nn.Module, whole: _Call) -> list[_Call]:
    """Return the calls through which the images pass, one after the other.

    Raises:
        ChainError: there are none whose last output is the network's.
    """
    images = next(value for value in (*whole.args, *whole.kwargs.values()) if isinstance(value, Tensor))
    result = getattr(whole.output, "last_hidden_state", whole.result)
    calls = _split(network, whole, images, result)
    if calls is None or len(calls) < _FEWEST:
        raise lacks(network, "modules that hand one tensor on, from the images to `last_hidden_state`")
    return calls


def _split(network: nn.Module, call: _Call, given: Tensor, result: Any) -> list[_Call] | None:
    """Return the calls inside ``call`` from ``given`` to ``result``, split further; None if these do not follow."""
    passed: list[_Call] = []
    current, version = given, call.versions[id(given)]
    for one in call.inside:
        if current is result and passed:
            break
        if one.result is None or not one.receives(current, version):
            continue
        one.given = current
        has_layers = any(isinstance(part, _LISTS) for part in network.get_submodule(one.path).modules())
        passed += (_split(network, one, current, one.result) if has_layers else None) or [one]
        current, version = one.result, one.version
    is_whole = current is result and (call.result is not result or version == call.version)
    return passed if passed and is_whole else None


def _grouped(network: nn.Module, calls: Sequence[_Call]) -> list[list[_Call]]:
    """Return the calls of every unit: a norm goes with the layer before it, in front of a convolution with that."""
    groups: list[list[_Call]] = []
    ahead: list[_Call] = []
    for index, call in enumerate(calls):
        module = network.get_submodule(call.path)
        if is_norm_layer(module) or not any(True for _ in module.parameters()):
            following = network.get_submodule(calls[index + 1].path) if index + 1 < len(calls) else None
            if isinstance(following, nn.Conv2d) or not groups:
                ahead.append(call)
            else:
                groups[-1].append(call)
            continue
        groups.append([*ahead, call])
        ahead = []
    return groups


def _unit(network: nn.Module, calls: Sequence[_Call]) -> Unit:
    name = next((one.path for one in calls if not is_norm_layer(network.get_submodule(one.path))), calls[0].path)

    def draw(graph: fx.Graph, node: fx.Node) -> fx.Node:
        for call in calls:
            known: dict[int, Any] = {id(call.given): node}
            held = [one for one in _tensors((call.args, call.kwargs)) if one is not call.given]
            if held:
                path = f"{call.path.replace('.', '_')}_constants"
                network.add_module(path, Constants(held))
                every = graph.call_module(path, ())
                known |= {id(one): graph.call_function(getitem, (every, index)) for index, one in enumerate(held)}
            args, kwargs = _replaced((call.args, call.kwargs), known)
            node = graph.call_module(call.path, args, kwargs)
            for _ in range(_depth(call.output)):
                node = graph.call_function(getitem, (node, 0))
        return node

    return _listed.unit(network, name, draw)


def _tensors(value: Any) -> list[Tensor]:
    """Return the tensors in nested tuples, lists and mappings."""
    if isinstance(value, Tensor):
        return [value]
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return [one for part in inside for one in _tensors(part)]


def _replaced(value: Any, known: Mapping[int, Any]) -> Any:
    """Return ``value`` with the graph's nodes in place of its tensors.

    Raises:
        ChainError: it holds something that a graph cannot.
    """
    if isinstance(value, Tensor):
        return known[id(value)]
    if isinstance(value, Mapping):
        return {name: _replaced(part, known) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_replaced(part, known) for part in value)
    if value is None or isinstance(value, bool | int | float | str | torch.dtype):
        return value
    raise ChainError(f"a layer receives a {type(value).__name__}, which cannot be kept")


def _facts(network: nn.Module, units: Sequence[Unit], whole: Chain) -> dict[str, object]:
    """Return how many tokens come before those of the patches, and whether the first is a class token."""
    config: Any = network.config
    patch = getattr(config, "patch_size", None)
    shape = probe.run(units[0].module, whole.input_shape).out_shape
    if len(shape) != 2 or patch is None:
        return {}
    height, width = patch if isinstance(patch, list | tuple) else (patch, patch)
    prefix = shape[0] - (whole.input_size[0] // height) * (whole.input_size[1] // width)
    has_token = any(path.rpartition(".")[2] in _CLASS_TOKENS for path, _ in network.named_parameters())
    return {PREFIX_TOKENS: max(prefix, 0), **({"class_token": 0} if has_token and prefix > 0 else {})}


def _check_equal(network: nn.Module, chain: Chain, options: Mapping[str, bool]) -> None:
    """Compare the chain with its network on other images, another number of them; on the meta device nothing can be.

    Raises:
        ChainError: they differ.
    """
    images = _images(network, _OTHER_BATCH, chain.input_size)
    if images.is_meta:
        return
    with torch.no_grad():
        output = network(images, **options)
        try:
            found = chain.forward(images)
        except Exception as error:  # a network of unknown kind may fail in any way
            reason = first_line(error)
            raise lacks(network, f"modules that run one by one: {reason}") from error
    expected: Any = getattr(output, "last_hidden_state", first_tensor(output))
    if found.shape != expected.shape or not (found - expected).abs().max() <= 1e-3 * expected.abs().max():
        raise lacks(network, "modules that compute the same one by one; something between them is unknown here")


family = HuggingFaceImages()
