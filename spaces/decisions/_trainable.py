"""Which parameters of a unit are trained; choices about the others would change nothing."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from spaces.chains.chain import Chain, Trainable, Unit
from spaces.chains.segments import is_norm_layer
from spaces.surgery import low_rank

_MOVED_BY_MODE = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
"""Layers that compute differently in training mode, whether or not their parameters learn."""


def learning(unit: Unit, module: nn.Module | None = None) -> Iterator[nn.Parameter]:
    """Yield the pretrained parameters of ``unit`` that learn in its state, in ``module`` (by default the unit's own).

    A matrix with a low-rank update is not among them: the update learns in its place.
    """
    if unit.trainable is Trainable.NONE:
        return
    module = unit.module if module is None else module
    kept = {id(parameter) for parameter in low_rank.adapted(module)}
    kept |= {id(parameter) for path in unit.extra for parameter in module.get_submodule(path).parameters()}
    yield from (parameter for parameter in _meant(unit, module) if id(parameter) not in kept)


def _meant(unit: Unit, module: nn.Module) -> Iterator[nn.Parameter]:
    if unit.trainable is Trainable.ALL:
        yield from module.parameters()
    elif unit.trainable is Trainable.BIAS:
        yield from (parameter for name, parameter in module.named_parameters() if name.rpartition(".")[2] == "bias")
    elif unit.trainable is Trainable.NORM:
        for layer in module.modules():
            if is_norm_layer(layer):
                yield from layer.parameters(recurse=False)


def learns(unit: Unit) -> bool:
    """Return whether anything in ``unit`` learns: pretrained weights, or what was inserted."""
    return bool(unit.extra) or any(True for _ in learning(unit))


def may_freeze(unit: Unit) -> bool:
    """Return whether freezing ``unit`` would change anything: parameters that learn, statistics that move."""
    if unit.trainable is Trainable.NONE:
        return False
    return any(True for _ in learning(unit)) or any(
        isinstance(layer, _MOVED_BY_MODE) for layer in unit.module.modules()
    )


def effect(chain: Chain) -> tuple[tuple[frozenset[int], bool], ...]:
    """Return for every unit which parameters learn and whether statistics move: equal for chains that train alike."""
    return tuple((frozenset(id(parameter) for parameter in learning(unit)), may_freeze(unit)) for unit in chain)
