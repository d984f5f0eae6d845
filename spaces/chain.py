"""Networks as chains of units: what a unit is, and how a network is cut into them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from torch import Tensor, nn


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
        name: the module path a user knows it by, ``features.14`` or ``layer3.1``.
        module: computes the unit; its ``state_dict`` keys are those of the original network.
        trainable: which of its parameters learn. A unit with ``NONE`` stays in eval mode.
        skipped: a shape-keeping unit that is bypassed (its module is the identity).
        edits: what was changed in it, one line for people each (``5x5 kernel``).
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
        return self.trainable is Trainable.NONE


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """A network as an ordered list of units that compute it exactly: ``unit_n(...unit_1(x))``.

    Immutable: an edit returns a new chain that shares the units it leaves alone.

    Attributes:
        units: all but the final classifier, in order.
        classifier: the network's own final classifier (applied to the last unit's output), or None.
        input_size: height and width in pixels that the chain is meant for.
        dropped: how many last units of the pretrained network were removed.
        facts: anything a family wants its decisions to know, by name.
    """

    units: tuple[Unit, ...]
    classifier: nn.Module | None
    input_size: tuple[int, int]
    dropped: int = 0
    facts: Mapping[str, object] = field(default_factory=dict)

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
