"""Candidate + chain + head -> a network with weights in place, split into frozen prefix and trained suffix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from spaces.chains import probe, tracing
from spaces.chains.chain import Chain, Trainable, Unit
from spaces.chains.segments import is_norm_layer
from spaces.decisions._trainable import learning
from spaces.decisions.batch_norm import keeps_statistics
from spaces.decisions.dropout import DropoutRates
from spaces.decisions.head import attachment
from spaces.decisions.penalty import Penalty
from spaces.errors import SurgeryError
from spaces.heads import Features, HeadChoice, Maps
from spaces.surgery import low_rank

Head = Callable[[Features, HeadChoice, Mapping[str, Any]], nn.Module]
"""Makes a task's head on these features for a value of the decision ``head``; also given every decision's value."""


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters that share a learning rate.

    Attributes:
        name: ``head`` or ``backbone``.
        behind: number of units between these parameters and the head; 0 for the head and the last unit.
    """

    name: str
    behind: int
    parameters: tuple[nn.Parameter, ...]


@dataclass(frozen=True, slots=True)
class NetworkSize:
    """Parameters, those that learn, floating-point operations of one forward pass, and every unit's state."""

    parameters: int
    trained: int
    flops: int
    unit_states: tuple[str, ...]


class Network(nn.Module):
    """A candidate ready to be trained: units of a chain, then a head.

    ``state_dict`` names are ``units.<index>.<the original network's key>`` and ``head.<...>``.
    """

    def __init__(
        self, chain: Chain, head: nn.Module, depth_drop: float = 0.0, *, keeps_statistics: bool = False
    ) -> None:
        """Join units and head.

        Args:
            depth_drop: probability of skipping the last unit in a training step, if it is residual.
            keeps_statistics: whether batch norms of learning units keep their statistics.
        """
        super().__init__()
        self.chain = chain
        self.units = nn.ModuleList(unit.module for unit in chain)
        self.head = head
        self.prefix_units = next((index for index, unit in enumerate(chain) if not unit.is_frozen), len(chain))
        """Leading units that are frozen; their output for an image never changes."""
        self.taps = _taps(head, len(chain))
        """Units whose outputs the head takes, in ascending order; empty if it takes only the last unit's."""
        self.carried = _carried(self.taps, self.prefix_units)
        """Units of the prefix whose outputs the rest of the network needs; at most one without taps."""
        count = max(len(chain) - 1, 1)
        self._skip_rates = [
            depth_drop * index / count if depth_drop and not unit.is_frozen and probe.residual(unit.module) else 0.0
            for index, unit in enumerate(chain)
        ]
        self._still = [layer for layer in self.units.modules() if keeps_statistics and _has_statistics(layer)]
        self._learn()
        self.train()

    def forward(self, images: Tensor) -> Any:
        """Return the head's output for ``images`` ``(N, 3, H, W)``, or for tokens ``(N, T)``."""
        return self.suffix(self.prefix(images))

    def prefix(self, images: Tensor) -> Tensor | Maps:
        """Return the outputs of the ``carried`` units, as a tensor if there is one; without a prefix, the images."""
        if not self.prefix_units:
            return images
        outputs: list[Tensor] = []
        with torch.no_grad():
            for index, unit in enumerate(self.units[: self.carried[-1] + 1]):
                images = unit(images)
                if index in self.carried:
                    outputs.append(images)
        return Maps(tuple(outputs)) if self.taps else images

    def suffix(self, carried: Tensor | Maps) -> Any:
        """Return the head's output for the output of ``prefix``."""
        given = carried.tensors if isinstance(carried, Maps) else (carried,)
        if not self.taps:
            return self.head(_hooked(self._through(given[0], {})))
        # With a prefix, ``given`` holds every carried output; without one, it is the network's input.
        outputs = dict(zip(self.carried, given, strict=True)) if self.prefix_units else {}
        self._through(given[-1], outputs)
        return self.head(tuple(_hooked(outputs[unit]) for unit in self.taps))

    def _through(self, features: Tensor, outputs: dict[int, Tensor]) -> Tensor:
        """Run the units after the prefix on ``features`` and return their output; tapped ones are added to ``outputs``.

        Units after the last tap are not run: their outputs are unused.
        """
        last = max(self.taps, default=len(self.units) - 1)
        for index in range(self.prefix_units, last + 1):
            after = self.units[index](features)
            rate = self._skip_rates[index]
            if rate and self.training:
                # Only the residual is dropped, sample by sample, and scaled so that its mean stays.
                mask = torch.empty(len(after), *[1] * (after.ndim - 1), device=after.device, dtype=after.dtype)
                after = features + mask.bernoulli_(1 - rate).div_(1 - rate) * (after - features)
            features = after
            if index in self.taps:
                outputs[index] = features
        return features

    def train(self, mode: bool = True) -> Network:
        """Set the mode; parts that keep pretrained weights or statistics stay in eval, so that these never move."""
        super().train(mode)
        for unit, module in zip(self.chain, self.units, strict=True):
            if unit.trainable is Trainable.NONE:
                module.eval()
        for layer in self._still:
            layer.eval()
        return self

    def groups(self) -> tuple[Group, ...]:
        """Return the parameters that learn: the head's, then each unit's from the last to the first."""
        groups = [Group("head", 0, tuple(parameter for parameter in self.head.parameters() if parameter.requires_grad))]
        seen: set[int] = set()
        for behind, module in enumerate(reversed(self.units)):
            learning = tuple(
                parameter for parameter in module.parameters() if parameter.requires_grad and id(parameter) not in seen
            )
            seen.update(id(parameter) for parameter in learning)
            if learning:
                groups.append(Group("backbone", behind, learning))
        return tuple(groups)

    def original_state(self) -> dict[str, Tensor]:
        """Return the weights under the key names of the pretrained network, the head's under ``head.``.

        Low-rank updates are added to the weights they belong to; inserted blocks have names of their own.
        """
        state = {name: value for module in self.units for name, value in low_rank.merged_state(module).items()}
        return self.chain.completed(state) | {f"head.{name}": value for name, value in self.head.state_dict().items()}

    def _learn(self) -> None:
        for unit, module in zip(self.chain, self.units, strict=True):
            module.requires_grad_(False)
            for parameter in learning(unit, module):
                parameter.requires_grad_(True)
            for parameter in _added(unit, module):
                parameter.requires_grad_(True)

    def added(self) -> Iterator[nn.Parameter]:
        """Yield the parameters that the pretrained network lacks: the head's, inserted blocks', updates'."""
        yield from self.head.parameters()
        for unit, module in zip(self.chain, self.units, strict=True):
            yield from _added(unit, module)


def as_network(module: nn.Module) -> Network:
    """Return ``module``, a plain module to the training loop, as the network that it is."""
    if not isinstance(module, Network):
        raise TypeError(f"expected a Network, got {type(module).__name__}")
    return module


def _taps(head: nn.Module, units: int) -> tuple[int, ...]:
    taps = tuple(int(tap) for tap in getattr(head, "taps", ()))
    if any(tap not in range(units) for tap in taps) or list(taps) != sorted(set(taps)):
        raise SurgeryError(
            f"a head's taps must be places of units, 0 to {units - 1}, each once and in order, got {taps}; "
            "take them from `Features.taps`"
        )
    return taps


def _carried(taps: tuple[int, ...], prefix_units: int) -> tuple[int, ...]:
    """Return the units of the prefix whose outputs are needed after it."""
    if not prefix_units:
        return ()
    if not taps:
        return (prefix_units - 1,)
    goes_on = max(taps) >= prefix_units
    return tuple(sorted({tap for tap in taps if tap < prefix_units} | ({prefix_units - 1} if goes_on else set())))


def _hooked(features: Tensor) -> Tensor:
    if features.requires_grad and _is_channels_last(features):
        # Pooling returns a gradient in the other memory layout, for which batch norm has only a slow path.
        features.register_hook(lambda grad: grad.contiguous(memory_format=torch.channels_last))  # type: ignore[no-untyped-call]
    return features


def _has_statistics(layer: nn.Module) -> bool:
    """Return whether ``layer`` is a batch norm that has seen data: the means of new ones are all 0."""
    means = layer.running_mean if isinstance(layer, nn.modules.batchnorm._BatchNorm) else None
    return means is not None and not means.is_meta and bool(means.any())


def _added(unit: Unit, module: nn.Module) -> Iterator[nn.Parameter]:
    for path in unit.extra:
        yield from module.get_submodule(path).parameters()


def _is_channels_last(features: Tensor) -> bool:
    return (
        features.ndim == 4
        and not features.is_contiguous()
        and features.is_contiguous(memory_format=torch.channels_last)
    )


def build(chain: Chain, values: Mapping[str, Any], head: Head, seed: int) -> Network:
    """Return the network of a candidate: pretrained weights in place, the head drawn from ``seed``.

    Nothing that can learn is shared with the pretrained chain or another network; frozen units are.

    Args:
        chain: the pretrained chain with the candidate's edits made, ``Space.apply``.
        values: the typed value of every decision, ``Space.values``.

    Raises:
        ProbeError: the chain does not run at its input size.
    """
    shares: DropoutRates = values["dropout"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        top = head_of(chain, values, head)
    chain = _reached(chain, top)
    copied: dict[Trainable, dict[int, Any]] = {kind: {} for kind in Trainable}
    chain = replace(chain, units=tuple(_own(unit, copied[unit.trainable]) for unit in chain))
    return Network(chain, top, shares.depth, keeps_statistics=keeps_statistics(values))


def head_of(chain: Chain, values: Mapping[str, Any], head: Head) -> nn.Module:
    """Return only the head of a candidate, for the output of its ``chain``; ``values`` are of every decision."""
    choice: HeadChoice = replace(values["head"], dropout=values["dropout"].head)
    return head(attachment(chain), choice, values)


def _reached(chain: Chain, head: nn.Module) -> Chain:
    """Return ``chain`` without the units after the last one that ``head`` taps, such as a classifier's hidden layer:
    their outputs are unused."""
    taps = _taps(head, len(chain))
    behind = len(chain) - taps[-1] - 1 if taps else 0
    return replace(chain, units=chain.units[: len(chain) - behind], dropped=chain.dropped + behind) if behind else chain


def _own(unit: Unit, copied: dict[int, Any]) -> Unit:
    """Return ``unit`` with its own copy of the weights; modules in ``copied`` stay shared, like ALBERT's layers."""
    if unit.is_frozen:
        return unit
    own = tracing.copied(unit.module, copied)
    probe.inherit(own, unit.module)
    return replace(unit, module=own)


def size(network: Network) -> NetworkSize:
    """Return the network's cost in memory and computation, and the state of every unit of the pretrained chain."""
    shape = network.chain.input_shape
    macs = 0
    for unit in network.chain:
        measured = probe.run(unit.module, shape)
        macs, shape = macs + measured.macs, measured.out_shape
    macs += head_macs(network.head, network.chain)
    states = [unit_state(unit) for unit in network.chain]
    states += ["dropped"] * (network.chain.dropped)
    counts = [parameter.numel() for parameter in network.parameters()]
    trained = [parameter.numel() for parameter in network.parameters() if parameter.requires_grad]
    return NetworkSize(sum(counts), sum(trained), 2 * macs, tuple(states))


def learning_share(chain: Chain) -> float:
    """Return the share of the chain's multiply-adds after its frozen leading units, from 0 to 1."""
    macs = [facts.macs for facts in probe.describe(chain)]
    frozen = next((index for index, unit in enumerate(chain) if not unit.is_frozen), len(chain))
    return sum(macs[frozen:]) / max(sum(macs), 1)


def head_macs(head: nn.Module, chain: Chain) -> int:
    """Return the multiply-adds of ``head`` on ``chain``, for one sample."""
    shapes = [unit.out_shape for unit in probe.describe(chain)] or [chain.input_shape]
    taps = _taps(head, len(chain))
    return probe.run_head(head, [shapes[tap] for tap in taps] if taps else shapes[-1:])


def unit_state(unit: Unit) -> str:
    """Return what was done with the unit: ``frozen``, ``trained``, ``adapted`` (trained in part) or ``skipped``.

    Edits follow it: ``trained: 5x5 kernel, stride 1``.
    """
    if unit.skipped:
        return "skipped"
    state = "frozen" if unit.is_frozen else "trained" if unit.trainable is Trainable.ALL else "adapted"
    return f"{state}: {', '.join(unit.edits)}" if unit.edits else state


def penalties(network: Network, penalty: Penalty) -> Callable[[], Mapping[str, Tensor]]:
    """Return a function that computes the penalty's term of the loss, times its strength, for the current weights.

    Norm layers and biases are left out unless ``penalty.everything``. Only learning parameters are penalised.
    """
    if penalty.kind in ("none", "decay"):
        return dict
    weights = penalised(network, everything=penalty.everything)
    origin: list[Any] = [0.0] * len(weights)
    if penalty.kind == "l2_sp":
        added = {id(parameter) for parameter in network.added()}
        origin = [0.0 if id(weight) in added else weight.detach().clone() for weight in weights]

    def terms() -> Mapping[str, Tensor]:
        if penalty.kind == "l1":
            total = torch.stack(torch._foreach_norm(weights, 1)).sum()
        else:
            moved = [weight - start for weight, start in zip(weights, origin, strict=True)]
            total = torch.stack(torch._foreach_norm(moved, 2)).square().sum() / 2
        return {penalty.kind: penalty.strength * total}

    return terms


def penalised(network: Network, *, everything: bool) -> list[Tensor]:
    """Return the parameters that learn and that penalties apply to: matrices and kernels, or everything."""
    spared = {
        id(parameter) for module in network.modules() if is_norm_layer(module) for parameter in module.parameters()
    }
    return [
        parameter
        for parameter in network.parameters()
        if parameter.requires_grad and (everything or (parameter.ndim > 1 and id(parameter) not in spared))
    ]
