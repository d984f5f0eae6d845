"""Heads of the same shape as one batched model: parameters with a leading axis of members, each with its recipe.

``torch.func`` runs them (https://pytorch.org/docs/stable/func.html); the idea of training many small models as one
is HFTA's (https://arxiv.org/abs/2102.02344).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from search.data.transfer import fetched, sent
from search.training.fit import TrainingPlan
from search.training.optimizers import schedule
from search.training.precision import Precision
from spaces.chains.probe import is_tapped
from spaces.chains.segments import is_norm_layer
from spaces.chains.signature import signature
from spaces.decisions.optimizer import Optimizer
from spaces.decisions.penalty import Penalty
from spaces.networks.build import Network

_BETAS, _EPS = (0.9, 0.999), 1e-8
_OTHER_IN_TRAINING = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._NormBase)


@dataclass(frozen=True, slots=True)
class StackedHead:
    """A head that is trained beside others.

    Attributes:
        network: every unit frozen; its head is what learns.
        plan: its epochs, seed, objective and callbacks; batches and precision are the first member's.
        recipe, penalty: what ``plan.optimize`` and ``plan.penalties`` are made of.
    """

    network: Network
    plan: TrainingPlan
    recipe: Optimizer
    penalty: Penalty


def is_frozen(network: Network) -> bool:
    """Return whether nothing but the head of ``network`` learns."""
    return network.prefix_units == len(network.units) and all(group.name == "head" for group in network.groups())


def can_stack(network: Network) -> bool:
    """Return whether ``network`` can be trained beside others: frozen, and a head of layers in a row."""
    return is_frozen(network) and layout_of(network.head) is not None


@dataclass(slots=True)
class Seat:
    """A member's place in a stack, with its own random numbers and schedule."""

    member: StackedHead
    generator: torch.Generator = field(init=False)
    factor: Callable[[int], float] = field(init=False)
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        plan = self.member.plan
        self.generator = torch.Generator(device=plan.precision.device)
        self.factor = schedule(self.member.recipe, plan.steps_per_epoch * plan.epochs)
        layout = layout_of(self.member.network.head)
        if layout is None or not is_frozen(self.member.network):
            raise ValueError("expected a network whose units are all frozen and whose head is layers in a row")
        self.layout = layout


S = TypeVar("S", bound=Seat)


@dataclass(frozen=True, slots=True)
class Layout:
    """A head as layers in a row.

    Attributes:
        front: layers in front of the first one that learns (the pooling); the same for all heads of a ``key``.
        layers: those from there on, dropout left out; ``names`` where each was in the head.
        dropout: place among ``layers`` -> share of its input that is dropped.
        key: equal for heads that can be one batched model.
    """

    front: tuple[nn.Module, ...]
    layers: tuple[nn.Module, ...]
    names: tuple[str, ...]
    dropout: Mapping[int, float]

    @property
    def front_key(self) -> tuple[str, ...]:
        return tuple(str(signature(layer)) for layer in self.front)

    @property
    def key(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self.front_key, tuple(str(signature(layer)) for layer in self.layers)


def layout_of(head: nn.Module) -> Layout | None:
    """Return the layers of ``head``; None for one that cannot be batched."""
    if not isinstance(head, nn.Sequential) or is_tapped(head):
        return None
    front: list[nn.Module] = []
    layers: list[nn.Module] = []
    names: list[str] = []
    dropout: dict[int, float] = {}
    share = 0.0
    for name, layer in head.named_children():
        if isinstance(layer, nn.Dropout):
            share = 1 - (1 - share) * (1 - layer.p)
            continue
        if any(isinstance(inner, _OTHER_IN_TRAINING) for inner in layer.modules()) or list(layer.buffers()):
            return None
        if signature(layer) is None:
            return None
        if not layers and not list(layer.parameters()) and not share:
            front.append(layer)
            continue
        if share:
            if not isinstance(layer, nn.Linear):
                return None
            dropout[len(layers)] = share
            share = 0.0
        layers.append(layer)
        names.append(name)
    return Layout(tuple(front), tuple(layers), tuple(names), dropout) if layers and not share else None


class Stack(Generic[S]):
    """Heads of one shape and kind of optimiser, as one model whose parameters have a leading axis of members."""

    def __init__(self, runs: Sequence[S]) -> None:
        self.runs = list(runs)
        first = runs[0]
        self.steps = 0
        self._front = first.layout.front
        self.front_key = first.layout.front_key
        self._layers = [copy.deepcopy(layer) for layer in first.layout.layers]
        self._sgd = first.member.recipe.name == "sgd"
        self.parameters: dict[str, Tensor] = {}
        self._state: list[dict[str, Tensor]] = []
        self._numbers: dict[tuple[float, ...], Tensor] = {}
        with torch.no_grad():
            for index, layer in enumerate(first.layout.layers):
                for name, _ in layer.named_parameters():
                    every = [run.layout.layers[index].get_parameter(name) for run in runs]
                    self.parameters[f"{index}.{name}"] = torch.stack([one.detach() for one in every])
        for value in self.parameters.values():
            value.requires_grad_(True)
        spared = {index for index, layer in enumerate(self._layers) if is_norm_layer(layer)}
        self._penalised = {
            name: value.ndim > 2 and int(name.split(".")[0]) not in spared for name, value in self.parameters.items()
        }
        count = 1 if self._sgd else 2
        self._state = [{name: torch.zeros_like(value) for name, value in self.parameters.items()} for _ in range(count)]

    def keep(self, places: Sequence[int]) -> None:
        """Drop all members except those at ``places``."""
        if len(places) == len(self.runs):
            return
        self.runs = [self.runs[index] for index in places]
        for tensors in (self.parameters, *self._state):
            for name, value in tensors.items():
                tensors[name] = value.detach()[list(places)].clone()
        for value in self.parameters.values():
            value.requires_grad_(True)

    def weights(self, place: int) -> dict[str, Tensor]:
        """Return the head of the member at ``place`` under its names in the network's state dict, on the CPU."""
        names = self.runs[place].layout.names
        return fetched(
            {
                f"head.{names[int(name.split('.', 1)[0])]}.{name.split('.', 1)[1]}": value[place]
                for name, value in self.parameters.items()
            }
        )

    def front(self, features: Any) -> Any:
        """Return what the layers in front of the first one that learns make of ``features``."""
        for layer in self._front:
            features = layer(features)
        return features

    def outputs(self, inputs: Tensor, masks: Mapping[int, Tensor]) -> Tensor:
        """Return ``(members, N, ...)`` for what ``front`` gave; ``masks`` are those of dropout."""

        def one(parameters: Mapping[str, Tensor], drops: Mapping[int, Tensor]) -> Tensor:
            value = inputs
            for index, layer in enumerate(self._layers):
                if index in drops:
                    value = value * drops[index]
                own = {name: parameters[f"{index}.{name}"] for name, _ in layer.named_parameters()}
                value = functional_call(layer, own, (value,))
            return value

        stacked: Tensor = vmap(one)(self.parameters, dict(masks))
        return stacked

    def masks(self, samples: int) -> dict[int, Tensor]:
        """Return the dropout masks of a step, from each member's own random numbers, in the order of the layers."""
        drawn: dict[int, list[Tensor]] = {}
        device = next(iter(self.parameters.values())).device
        for index, layer in enumerate(self._layers):
            shares = [run.layout.dropout.get(index, 0.0) for run in self.runs]
            if not any(shares):
                continue
            shape = (samples, int(layer.in_features))  # type: ignore[arg-type]  # dropout comes before a Linear
            drawn[index] = [
                torch.empty(shape, device=device).bernoulli_(1 - share, generator=run.generator).div_(1 - share)
                if share
                else torch.ones(shape, device=device)
                for run, share in zip(self.runs, shares, strict=True)
            ]
        return {index: torch.stack(masks) for index, masks in drawn.items()}

    def step(self, inputs: Tensor, targets: Any, precision: Precision) -> dict[str, Tensor]:
        """Take one step of every member; return their loss terms by name, ``(members,)`` each."""
        with precision.autocast():
            outputs = self.outputs(inputs, self.masks(len(targets)))
            task = self._losses(outputs, targets)
        penalty = self._penalty()
        total = (task + penalty).sum() if penalty is not None else task.sum()
        gradients = dict(zip(self.parameters, torch.autograd.grad(total, list(self.parameters.values())), strict=True))
        with torch.no_grad():
            self._update(gradients)
        self.steps += 1
        return {"task": task.detach()} | ({"penalty": penalty.detach()} if penalty is not None else {})

    def _losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        courses = [run.member.plan for run in self.runs]
        smoothing = {plan.label_smoothing for plan in courses}
        if len(smoothing) == 1:
            loss = courses[0].task.loss
            losses: Tensor = vmap(lambda one: loss(one, targets, courses[0].label_smoothing))(outputs)
            return losses
        each = zip(courses, outputs, strict=True)
        return torch.stack([plan.task.loss(one, targets, plan.label_smoothing) for plan, one in each])

    def _strengths(self, kinds: tuple[str, ...]) -> list[float]:
        penalties = [run.member.penalty for run in self.runs]
        return [penalty.strength if penalty.kind in kinds else 0.0 for penalty in penalties]

    def _penalty(self) -> Tensor | None:
        """Return every member's penalty times its strength, ``(members,)``; None where none has one."""
        terms: list[Tensor] = []
        for kinds, measure in ((("l1",), torch.abs), (("l2", "l2_sp"), lambda value: value.square() / 2)):
            strengths = self._strengths(kinds)
            if any(strengths):
                sums = torch.stack([_per_member(measure(value) * self._share(name, value))
                                    for name, value in self.parameters.items()])  # fmt: skip
                terms.append(sums.sum(dim=0) * self._fixed(strengths, sums))
        return torch.stack(terms).sum(dim=0) if terms else None

    def _share(self, name: str, value: Tensor) -> Tensor:
        """Return 1 for members whose penalty applies to the parameter ``name``, 0 for others; broadcasts."""
        applies = [self._penalised[name] or run.member.penalty.everything for run in self.runs]
        return self._fixed([float(one) for one in applies], value).reshape(-1, *[1] * (value.ndim - 1))

    def _fixed(self, numbers: Sequence[float], value: Tensor) -> Tensor:
        """Return ``numbers``, the same in every step, beside ``value``; they are sent there once."""
        key = tuple(numbers)
        if key not in self._numbers:
            self._numbers[key] = _like(numbers, value)
        return self._numbers[key]

    def _update(self, gradients: Mapping[str, Tensor]) -> None:
        first = next(iter(self.parameters.values()))
        rates = _like([run.member.recipe.lr_head * run.factor(self.steps) for run in self.runs], first)
        decays = self._fixed(self._strengths(("decay",)), first)
        for name, value in self.parameters.items():
            shape = (-1, *[1] * (value.ndim - 1))
            rate = rates.reshape(shape)
            decay = decays.reshape(shape) * self._share(name, value)
            (self._sgd_step if self._sgd else self._adamw_step)(name, value, gradients[name], rate, decay)

    def _sgd_step(self, name: str, value: Tensor, gradient: Tensor, rate: Tensor, decay: Tensor) -> None:
        momenta = [run.member.recipe.momentum for run in self.runs]
        momentum = self._fixed(momenta, value).reshape(-1, *[1] * (value.ndim - 1))
        moved = self._state[0][name]
        gradient = gradient + decay * value
        moved.copy_(gradient if self.steps == 0 else momentum * moved + gradient)
        value.sub_(rate * moved)

    def _adamw_step(self, name: str, value: Tensor, gradient: Tensor, rate: Tensor, decay: Tensor) -> None:
        mean, square = self._state[0][name], self._state[1][name]
        value.mul_(1 - rate * decay)
        mean.lerp_(gradient, 1 - _BETAS[0])
        square.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
        done = self.steps + 1
        scale = math.sqrt(1 - _BETAS[1] ** done)
        value.sub_(rate / (1 - _BETAS[0] ** done) * mean / (square.sqrt() / scale + _EPS))


def _like(numbers: Sequence[float], value: Tensor) -> Tensor:
    return sent(torch.tensor(numbers, dtype=value.dtype), value.device)


def _per_member(value: Tensor) -> Tensor:
    return value.flatten(1).sum(dim=1) if value.ndim > 1 else value
