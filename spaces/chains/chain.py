"""Networks as chains of units: what a unit is, and how a network is cut into them.

A network is traced with ``torch.fx`` and walked once, keeping the set of values that are still needed. Wherever
exactly one is, the dataflow can be cut: residual, dense, inception and attention blocks come out whole, because
their shortcut keeps a second value alive.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

import torch
from torch import Tensor, fx, nn

from spaces.chains.classifier import check_headless, split_classifier
from spaces.chains.fixed_sizes import fix_sizes, with_free
from spaces.chains.segments import Segment, is_norm_layer, modules_of, segments
from spaces.chains.tracing import Opaque, submodule, trace
from spaces.errors import ChainError

PRETRAINED_SIDE = "pretrained_side"
"""Fact of a chain of images: side in pixels of those that its weights were trained on."""
POOL = "pool"
"""Fact of a chain: the name of the last unit if it is a pool with weights of its own, which another may replace."""
_MANY = 16
"""Fewest layers of a network that is cut again, for its input size only, if one unit holds most of them."""


class Trainable(StrEnum):
    """Which parameters of a unit learn."""

    ALL = "all"
    NORM = "norm"
    BIAS = "bias"
    NONE = "none"


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """A part of a network between two cut points: one tensor in, one tensor out.

    Attributes:
        name: the module path that users know, ``features.14`` or ``layer3.1``.
        module: computes the unit; its ``state_dict`` keys are those of the original network.
        trainable: which of its parameters learn. A unit with ``NONE`` stays in eval mode.
        skipped: a shape-keeping unit that is bypassed (its module is the identity).
        edits: the changes made to it, one readable line each (``5x5 kernel``).
        extra: names of modules in ``module`` that are not in the pretrained network (inserted blocks).
    """

    name: str
    module: nn.Module
    trainable: Trainable = Trainable.ALL
    skipped: bool = False
    edits: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    @property
    def is_frozen(self) -> bool:
        """Whether nothing in it learns: its pretrained weights are kept, and nothing was inserted."""
        return self.trainable is Trainable.NONE and not self.extra


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """A network as an ordered list of units that compute it exactly: ``unit_n(...unit_1(x))``.

    Immutable: an edit returns a new chain that shares the units it leaves alone.

    Attributes:
        units: all but the final classifier, in order.
        classifier: the network's own final classifier (applied to the last unit's output), or None.
        input_size: height and width in pixels that the chain is meant for.
        dropped: number of last units of the pretrained network that were removed.
        facts: by name, anything that decisions should know about a family.
        kind: of input: ``images`` ``(N, 3, H, W)``, or ``tokens``, ids ``(N, T)`` as int64, with ``input_size``
            ``(1, T)``.
        aliases: further keys under which the original network keeps weights of a unit, with the unit's key.
        unused: weights that the original network holds but does not use.
    """

    units: tuple[Unit, ...]
    classifier: nn.Module | None
    input_size: tuple[int, int]
    dropped: int = 0
    facts: Mapping[str, object] = field(default_factory=dict)
    kind: Literal["images", "tokens"] = "images"
    aliases: Mapping[str, str] = field(default_factory=dict)
    unused: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample, without the batch: ``(3, H, W)`` for images, ``(T,)`` for tokens."""
        return self.input_size[1:] if self.kind == "tokens" else (3, *self.input_size)

    @property
    def input_dtype(self) -> torch.dtype:
        """Type of a sample's values: float32 for images, int64 for tokens."""
        return torch.int64 if self.kind == "tokens" else torch.float32

    def __len__(self) -> int:
        return len(self.units)

    def __iter__(self) -> Iterator[Unit]:
        return iter(self.units)

    def with_unit(self, index: int, unit: Unit) -> Chain:
        """Return a chain in which the unit at ``index`` is ``unit``."""
        return replace(self, units=(*self.units[:index], unit, *self.units[index + 1 :]))

    def forward(self, images: Tensor) -> Tensor:
        """Run the units, without the classifier, on ``images`` ``(N, 3, H, W)``."""
        for unit in self.units:
            images = unit.module(images)
        return images

    def logits(self, images: Tensor) -> Tensor:
        """Run the whole pretrained network, its own classifier included.

        Raises:
            ChainError: the network has no classifier.
        """
        if self.classifier is None:
            raise ChainError("this network has no classifier of its own; use forward() for its features")
        logits: Tensor = self.classifier(self.forward(images))
        return logits

    def train(self, mode: bool = True) -> Chain:
        """Put every unit and the classifier into training or eval mode, in place."""
        for module in self.modules():
            module.train(mode)
        return self

    def modules(self) -> tuple[nn.Module, ...]:
        """Return the modules of all units, then the classifier's."""
        own = tuple(unit.module for unit in self.units)
        return (*own, self.classifier) if self.classifier is not None else own

    def state_dict(self) -> dict[str, Tensor]:
        """Return all weights under the key names of the original network."""
        return self.completed({name: value for module in self.modules() for name, value in module.state_dict().items()})

    def completed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the units' weights with the rest of the original network's: second names and unused weights."""
        aliases = {alias: state[name] for alias, name in self.aliases.items() if name in state}
        return {**self.unused, **state, **aliases}


def cut(
    network: nn.Module,
    input_size: tuple[int, int],
    facts: Mapping[str, object] | None = None,
    opaque: Opaque | None = None,
) -> Chain:
    """Return ``network`` as a chain; its units share the network's parameters.

    The chain's ``logits`` equal the network's output, in eval and, under the same seed, in training mode.
    ``opaque`` names what must stay whole. A network that passes sizes from block to block is cut for ``input_size``
    only.

    Raises:
        ChainError: ``torch.fx`` cannot trace the network, or it has no place where it can be cut.
    """
    graph, root = trace(network, opaque)
    groups, classifier = _groups(graph, root, set())
    if _is_lumped(groups, root) and any(map(_reads_size, graph.nodes)):
        again, twin = trace(network, opaque)  # afresh: fixing changes the graph
        fixed = _fixed(again, twin, input_size)
        if len(fixed[0]) > len(groups):
            (groups, classifier), root = fixed, twin
    if len(groups) < 2:
        reason = "is one tensor alone (branches side by side, or a single layer); choose another backbone"
        raise ChainError(
            f"{type(network).__name__} cannot be cut: at no place between its first and its last layer {reason}"
        )
    names = _names(groups, root)
    units = tuple(Unit(name, submodule(group, root)) for name, group in zip(names, groups, strict=True))
    top = submodule(classifier, root) if classifier else None
    if top is None:
        check_headless(units[-1].module, network)
    known = dict(facts or {})
    if top is None and _is_pool(groups[-1], root):
        known[POOL] = names[-1]
    aliases, unused = _besides(network, (*(unit.module for unit in units), *filter(None, (top,))))
    return Chain(units, top, input_size, facts=known, aliases=aliases, unused=unused)


def _is_lumped(groups: Sequence[Sequence[fx.Node]], network: nn.Module) -> bool:
    """Return whether one unit holds most of a network's many layers: blocks that pass on sizes cannot be parted."""
    held = [sum(_layers(module) for module in modules_of(group, network)) for group in groups]
    return sum(held) >= _MANY and 2 * max(held, default=0) > sum(held)


def _reads_size(node: fx.Node) -> bool:
    return bool(node.target == "size" or (node.target is getattr and node.args[1] == "shape"))


def _layers(module: nn.Module) -> int:
    return sum(isinstance(layer, nn.Linear | nn.Conv2d) for layer in module.modules())


def _groups(graph: fx.Graph, root: nn.Module, free: set[fx.Node]) -> tuple[list[list[fx.Node]], list[fx.Node]]:
    """Return the nodes of every unit and of the classifier."""
    body, classifier = split_classifier(segments(graph, root, free), root)
    return _join(body, root), classifier


def _fixed(graph: fx.Graph, root: nn.Module, input_size: tuple[int, int]) -> tuple[list[list[fx.Node]], list[fx.Node]]:
    """Return the units of a network whose sizes are fixed to those of ``input_size``; none if it does not run."""
    try:
        free = fix_sizes(graph, root, (3, *input_size))
    except Exception:  # noqa: BLE001  # a size that does not fit is reported when the chain is probed
        return [], []
    groups, classifier = _groups(graph, root, free)
    return [with_free(group, free) for group in groups], with_free(classifier, free) if classifier else []


def _besides(network: nn.Module, modules: Sequence[nn.Module]) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the keys of ``network`` that no unit has: second names of their weights, and unused ones."""
    # With keep_vars the tensors themselves are compared, so that equal weights are not taken for the same weight.
    inside = {name: value for module in modules for name, value in module.state_dict(keep_vars=True).items()}
    names = {id(value): name for name, value in inside.items()}
    outside = {name: value for name, value in network.state_dict(keep_vars=True).items() if name not in inside}
    aliases = {name: names[id(value)] for name, value in outside.items() if id(value) in names}
    return aliases, {name: value.detach() for name, value in outside.items() if name not in aliases}


def _join(parts: list[Segment], network: nn.Module) -> list[list[fx.Node]]:
    """Join fragments to their unit: norms and activations to the preceding one, flattening to the next.

    A pool whose norm ends the network is a unit of its own.
    """
    groups: list[list[fx.Node]] = []
    held: list[fx.Node] = []
    for index, segment in enumerate(parts):
        if segment.kind == "state":
            if held and groups and not _starts_linear(segment, network) and not _holds_norm(held, network):
                groups[-1].extend(held)
                held = []
            groups.append([*held, *segment.nodes])
            held = []
        elif segment.kind == "gather" or held or not groups or _belongs_to_next(parts, index, network):
            held.extend(segment.nodes)
        else:
            groups[-1].extend(segment.nodes)
    if held and groups and not _holds_norm(held, network):
        groups[-1].extend(held)
    elif held:
        groups.append(held)
    return groups


def _is_pool(nodes: Sequence[fx.Node], network: nn.Module) -> bool:
    """Return whether these nodes, the last unit's, have no weights but those of norms."""
    weighted = [module for module in modules_of(nodes, network) if any(True for _ in module.parameters())]
    return bool(weighted) and all(map(is_norm_layer, weighted))


def _starts_linear(segment: Segment, network: nn.Module) -> bool:
    modules = modules_of(segment.nodes, network)
    return bool(modules) and isinstance(modules[0], nn.Linear)


def _holds_norm(nodes: Sequence[fx.Node], network: nn.Module) -> bool:
    return any(is_norm_layer(module) for module in modules_of(nodes, network))


def _belongs_to_next(parts: list[Segment], index: int, network: nn.Module) -> bool:
    """Return whether the ``nn.Sequential`` begins with a norm that is followed by the layer with the weights."""
    segment = parts[index]
    if segment.kind != "norm" or index + 1 >= len(parts) or parts[index + 1].kind != "state":
        return False
    parent, child = os.path.splitext(str(segment.nodes[0].target))
    following = next((node for node in parts[index + 1].nodes if node.op == "call_module"), None)
    return (
        child == ".0"
        and following is not None
        and isinstance(network.get_submodule(parent), nn.Sequential)
        and os.path.splitext(str(following.target))[0] == parent
    )


def _names(groups: list[list[fx.Node]], network: nn.Module) -> list[str]:
    """Name each group by the module path that holds all its weights and no others, else by the first weight."""
    paths = [_weighted_paths(group, network) for group in groups]
    names: list[str] = []
    for index, own in enumerate(paths):
        common = _common(own)
        others = [path for other, used in enumerate(paths) if other != index for path in used]
        shared = not common or any(path == common or path.startswith(f"{common}.") for path in others)
        name = own[0] if shared else common
        names.append(name if name not in names else f"{name}#{index}")
    return names


def _weighted_paths(group: list[fx.Node], network: nn.Module) -> list[str]:
    paths = [str(node.target) for node in group if node.op == "call_module"]
    weighted = [path for path in paths if any(True for _ in network.get_submodule(path).parameters())]
    return weighted or paths or [group[-1].name]


def _common(paths: Sequence[str]) -> str:
    split = [path.split(".") for path in paths]
    depth = 0
    while all(len(parts) > depth and parts[depth] == split[0][depth] for parts in split):
        depth += 1
    return ".".join(split[0][:depth])
