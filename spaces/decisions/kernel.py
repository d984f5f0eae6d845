"""Kernel sizes: larger ones start as the same function, smaller ones keep the centre."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains import probe
from spaces.chains.chain import Chain, Trainable, Unit
from spaces.decisions._base import KEEP, Decision, NotApplicable, Scalar, Stage, Suggest, keeps_shape
from spaces.decisions._checks import check_choices, check_range
from spaces.decisions._prior import mostly
from spaces.decisions._stages import stages, units_at
from spaces.errors import CandidateError
from spaces.surgery import kernels

LARGEST = 255
"""Largest kernel side in pixels; candidates may come from other people's files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Kernel sizes that may be tried, in pixels, odd.

    Attributes:
        stages: most stages (units of equal resolution) that change in one candidate.
    """

    sizes: tuple[int, ...] = (3, 5)
    stages: int = 1
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("kernel.sizes", self.sizes)
        for size in self.sizes:
            if not 1 <= size <= LARGEST or size % 2 == 0:
                raise ValueError(f"kernel.sizes: sizes must be odd and from 1 to {LARGEST}, got {size}")
        check_range("kernel.stages", self.stages, None, least=1)


@dataclass(frozen=True, slots=True)
class Choices:
    """``size@stage`` for every change that runs on this chain; up to ``slots`` of them at once.

    ``members``: the units of every stage.
    """

    changes: tuple[str, ...]
    slots: int
    members: Mapping[str, tuple[str, ...]]


KEPT = 0.85
"""Prior of no change: the new outer ring has to be learnt from few images."""

Kernels = tuple[tuple[str, int], ...]
"""First unit -> kernel size in pixels: all units from there to the end of its stage change to it."""


class Kernel(Decision[Kernels]):
    """All square, odd kernels larger than 1 of a stage change to one size.

    Larger kernels begin at the stage's first unit whose weights learn: elsewhere the new ring would stay zero.
    """

    name, stage, options = "kernel", Stage.RESHAPE, Range

    def choices(self, chain: Chain, within: Range) -> Choices | NotApplicable:
        changes = tuple(
            f"{size}@{stage}"
            for stage in stages(chain)
            for size in sorted(within.sizes)
            if _changes(chain, self.apply(chain, ((stage, size),)))
        )
        if not changes:
            return NotApplicable(f"no convolution whose kernel could become {' or '.join(map(str, within.sizes))}")
        return Choices(changes, within.stages, stages(chain))

    def narrow(self, choices: Choices, chain: Chain) -> Choices:
        """Return ``choices`` without changes if all of them are larger kernels that would not learn."""
        if any(self.settle((change,), chain) for change in _read(choices)):
            return choices
        return replace(choices, changes=())

    def baseline(self, chain: Chain) -> Kernels:
        return ()

    def extremes(self, choices: Choices, chain: Chain) -> tuple[Kernels, Kernels]:
        options = [
            ((), 0),
            *((((stage, size),), _weight(self.apply(chain, ((stage, size),)))) for stage, size in _read(choices)),
        ]
        base = _weight(chain)
        ordered = sorted(options, key=lambda option: option[1] or base)
        return ordered[0][0], ordered[-1][0]

    def sample(self, suggest: Suggest, choices: Choices) -> Kernels:
        sizes: dict[str, int] = {}
        for slot in range(1, (choices.slots if choices.changes else 0) + 1):
            text = suggest.choice(f"kernel.{slot}", (KEEP, *choices.changes), prior=mostly(KEEP, KEPT))
            if text == KEEP:
                break
            size, _, stage = str(text).partition("@")
            sizes[stage] = int(size)
        return tuple(sizes.items())

    def params(self, value: Kernels, choices: Choices) -> Mapping[str, Scalar] | None:
        stage_of = {unit: stage for stage, units in choices.members.items() for unit in units}
        texts = [f"{size}@{stage_of.get(unit, unit)}" for unit, size in value]
        if len(texts) > choices.slots or any(text not in choices.changes for text in texts):
            return None
        if not choices.changes:
            return {}
        texts += [KEEP] * (len(texts) < choices.slots)
        return {f"kernel.{slot}": text for slot, text in enumerate(texts, 1)}

    def touches(self, choices: Choices, chain: Chain) -> tuple[str, ...]:
        return tuple(
            unit.name
            for stage, size in _read(choices)
            for unit in (chain.units[index] for index in _places(stage, chain))
            if _resizable(unit, size)
        )

    def variants(self, choices: Choices, chain: Chain) -> tuple[Kernels, ...]:
        return tuple(((stage, size),) for stage, size in _read(choices))

    def keeps_function(self, value: Kernels, chain: Chain) -> bool:
        return all(
            conv.kernel[0] <= size
            for stage, size in value
            for index in _places(stage, chain)
            for conv in _kernels(chain.units[index])
        )

    def settle(self, value: Kernels, chain: Chain) -> Kernels:
        """Return the changes in the order of the chain, each beginning at the first unit in which it has an effect."""
        units = chain.units
        sizes: dict[int, int] = {}
        for first, size in value:
            effective = [index for index in _places(first, chain) if _matters(units[index], size)]
            if effective:
                sizes[effective[0]] = size
        return tuple((units[index].name, size) for index, size in sorted(sizes.items()))

    def apply(self, chain: Chain, value: Kernels) -> Chain:
        for stage, size in value:
            for index in _places(stage, chain):
                unit = _resized(chain.units[index], size)
                chain = chain if unit is chain.units[index] else chain.with_unit(index, unit)
        return chain

    def words(self, value: Kernels, chain: Chain) -> str:
        return ", ".join(f"{size}x{size} in {self._where(first, chain)}" for first, size in value)

    def _where(self, first: str, chain: Chain) -> str:
        units = next((names for names in stages(chain).values() if first in names), (first,))
        return first if first == units[-1] else f"{first} to {units[-1]}"

    def dump(self, value: Kernels) -> Json:
        return [[stage, size] for stage, size in value]

    def parse(self, data: Json) -> Kernels:
        if not isinstance(data, list) or not all(
            isinstance(pair, list)
            and len(pair) == 2
            and isinstance(pair[0], str)
            and type(pair[1]) is int
            and 0 < pair[1] <= LARGEST
            and pair[1] % 2
            for pair in data
        ):
            raise CandidateError(
                f"candidate: kernel must be a list of [first unit, odd size of up to {LARGEST} pixels], got {data!r}"
            )
        return tuple((stage, size) for stage, size in data)


def _places(first: str, chain: Chain) -> list[int]:
    """Return the indices of the units from ``first`` to the end of its stage.

    Raises:
        CandidateError: no such unit.
    """
    stage = next((stage for stage, names in stages(chain).items() if first in names), first)
    members = units_at("kernel", stage, chain)
    names = stages(chain)[stage]
    behind = set(names[names.index(first) :])
    return [index for index in members if chain.units[index].name in behind]


def _matters(unit: Unit, size: int) -> bool:
    """Return whether kernels of ``size`` change what ``unit`` computes or can learn: smaller kernels always do, the
    zeros around larger ones only if weights learn."""
    paths = set(_resizable(unit, size))
    learns = unit.trainable is Trainable.ALL
    return any(learns or conv.kernel[0] > size for conv in _kernels(unit) if conv.path in paths)


def _read(choices: Choices) -> list[tuple[str, int]]:
    return [(text.partition("@")[2], int(text.partition("@")[0])) for text in choices.changes]


def _kernels(unit: Unit) -> tuple[probe.Convolution, ...]:
    """Return the resizable convolutions: square, odd, larger than 1, not a patch embedding."""
    return tuple(
        conv
        for conv in probe.convolutions(unit.module)
        if conv.kernel[0] == conv.kernel[1] and conv.kernel[0] % 2 == 1 and conv.kernel[0] > max(conv.stride[0], 1)
    )


def _resizable(unit: Unit, size: int) -> tuple[str, ...]:
    """Return the paths of the convolutions in ``unit`` that have another size and can change to ``size``."""
    return tuple(
        conv.path
        for conv in _kernels(unit)
        if conv.kernel[0] != size and not kernels.why_not_resize(unit.module.get_submodule(conv.path), size)  # type: ignore[arg-type]  # a Conv2d
    )


def _resized(unit: Unit, size: int) -> Unit:
    paths = _resizable(unit, size)
    if not paths:
        return unit
    module = kernels.with_kernels(unit.module, paths, size)
    return replace(unit, module=module, edits=(*unit.edits, f"{size}x{size} kernel"))


def _changes(chain: Chain, changed: Chain) -> bool:
    """Return whether anything changed, with output shapes kept."""
    return changed is not chain and keeps_shape(chain, changed)


def _weight(chain: Chain) -> int:
    return sum(parameter.numel() for unit in chain for parameter in unit.module.parameters())


decision = Kernel()
