"""Kernel sizes: larger ones start as the same function, smaller ones keep the centre."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from spaces import probe, surgery
from spaces.candidate import Json
from spaces.chain import Chain, Unit
from spaces.decisions._base import Decision, NotApplicable, Scalar, Stage, Suggest, check_choices, check_range
from spaces.errors import CandidateError, ProbeError

KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Kernel sizes that may be tried, in pixels, odd.

    Attributes:
        stages: how many stages (units of equal resolution) may change in one candidate.
    """

    sizes: tuple[int, ...] = (3, 5)
    stages: int = 1
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("kernel.sizes", self.sizes)
        for size in self.sizes:
            if size < 1 or size % 2 == 0:
                raise ValueError(f"kernel.sizes: sizes must be odd and at least 1, got {size}")
        check_range("kernel.stages", self.stages, None, least=1)


@dataclass(frozen=True, slots=True)
class Choices:
    """``size@stage`` for every change that runs on this chain; ``slots`` of them may be made at once."""

    changes: tuple[str, ...]
    slots: int


Kernels = tuple[tuple[str, int], ...]
"""Stage -> kernel size, for the stages that change; a stage is called after its first unit."""


class Kernel(Decision[Kernels]):
    """All square, odd kernels larger than 1 of a stage change to one size."""

    name, stage, options = "kernel", Stage.RESHAPE, Range

    def choices(self, chain: Chain, within: Range) -> Choices | NotApplicable:
        changes = tuple(
            f"{size}@{stage}"
            for stage in _stages(chain)
            for size in sorted(within.sizes)
            if _runs(self.apply(chain, ((stage, size),)), chain)
        )
        if not changes:
            return NotApplicable(f"no convolution whose kernel could become {' or '.join(map(str, within.sizes))}")
        return Choices(changes, within.stages)

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
        found: dict[str, int] = {}
        for slot in range(1, choices.slots + 1):
            text = suggest.choice(f"kernel.{slot}", (KEEP, *choices.changes))
            if text == KEEP:
                break
            size, _, stage = str(text).partition("@")
            found[stage] = int(size)
        return tuple(found.items())

    def params(self, value: Kernels, choices: Choices) -> Mapping[str, Scalar] | None:
        texts = [f"{size}@{stage}" for stage, size in value]
        if len(texts) > choices.slots or any(text not in choices.changes for text in texts):
            return None
        texts += [KEEP] * (len(texts) < choices.slots)
        return {f"kernel.{slot}": text for slot, text in enumerate(texts, 1)}

    def settle(self, value: Kernels, chain: Chain) -> Kernels:
        left = _stages(chain)
        return tuple((stage, size) for stage, size in value if stage in left)

    def apply(self, chain: Chain, value: Kernels) -> Chain:
        members = _stages(chain)
        for stage, size in value:
            if stage not in members:
                raise CandidateError(
                    f"candidate: kernel: no stage {stage!r} in this backbone; stages: {', '.join(members)}"
                )
            for index in members[stage]:
                chain = chain.with_unit(index, _resized(chain.units[index], size))
        return chain

    def words(self, value: Kernels, chain: Chain) -> str:
        return ", ".join(f"{size}x{size} kernels from {stage}" for stage, size in value)

    def dump(self, value: Kernels) -> Json:
        return [[stage, size] for stage, size in value]

    def parse(self, data: Json) -> Kernels:
        if not isinstance(data, list) or not all(
            isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], int)
            for pair in data
        ):
            raise CandidateError(f"candidate: kernel must be a list of [stage, size], got {data!r}")
        return tuple((stage, size) for stage, size in data)


def _read(choices: Choices) -> list[tuple[str, int]]:
    return [(text.partition("@")[2], int(text.partition("@")[0])) for text in choices.changes]


def _stages(chain: Chain) -> dict[str, list[int]]:
    """Return the units that have convolutions by stage; a stage begins where a unit makes the image smaller."""
    stages: dict[str, list[int]] = {}
    stage = ""
    for index, unit in enumerate(chain.units):
        if index == 0 or _reduces(unit):
            stage = unit.name
        if _kernels(unit):
            stages.setdefault(stage, []).append(index)
    return stages


def _reduces(unit: Unit) -> bool:
    facts = probe.convolutions(unit.module)
    return bool(surgery.reducing(unit.module)) or any(max(conv.stride) > 1 for conv in facts)


def _kernels(unit: Unit) -> tuple[probe.Convolution, ...]:
    """Return the convolutions that look around: square, odd, larger than 1, no patch embedding."""
    return tuple(
        conv
        for conv in probe.convolutions(unit.module)
        if conv.kernel[0] == conv.kernel[1] and conv.kernel[0] % 2 == 1 and conv.kernel[0] > max(conv.stride[0], 1)
    )


def _resized(unit: Unit, size: int) -> Unit:
    paths = []
    for conv in _kernels(unit):
        layer = unit.module.get_submodule(conv.path)
        if conv.kernel[0] != size and not surgery.why_not_resize(layer, size):  # type: ignore[arg-type]  # a Conv2d
            paths.append(conv.path)
    if not paths:
        return unit
    module = surgery.with_kernels(unit.module, tuple(paths), size)
    return replace(unit, module=module, edits=(*unit.edits, f"{size}x{size} kernel"))


def _runs(changed: Chain, chain: Chain) -> bool:
    """Return whether anything changed, and what changed runs at the shape it had."""
    shape: tuple[int, ...] = (3, *chain.input_size)
    different = False
    for old, new in zip(chain, changed, strict=True):
        after = probe.run(old.module, shape).out_shape
        if new is not old:
            different = True
            try:
                if probe.run(new.module, shape, count=False).out_shape != after:
                    return False
            except ProbeError:
                return False
        shape = after
    return different


def _weight(chain: Chain) -> int:
    return sum(parameter.numel() for unit in chain for parameter in unit.module.parameters())


decision = Kernel()
