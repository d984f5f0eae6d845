"""The optimiser, learning rates of head and backbone, and their schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from spaces.candidate import Json, short
from spaces.chains.chain import Chain
from spaces.decisions._base import (
    Decision,
    Scalar,
    Stage,
    Suggest,
    check_choices,
    check_number,
    check_range,
    read_choice,
    read_fields,
    read_number,
    rounded,
)
from spaces.decisions._learning import learns

NAMES = ("sgd", "adamw")
SCHEDULES = ("constant", "cosine")
_SHARES = (("momentum", 0, 0.999), ("layer_decay", 1e-6, 1), ("warmup", 0, 0.9))
_LABELS = {"sgd": "SGD", "adamw": "AdamW"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Optimisers that may be tried, and ranges of learning rates (drawn on a log scale).

    Attributes:
        sgd_head: learning rate of the head under SGD with momentum; ``sgd_backbone`` of the trained units.
        adamw_head: the same under AdamW.
        layer_decay: range of the factor by which the learning rate falls from one unit to the one before.
        warmup: share of all steps in which learning rates rise from 0.
    """

    names: tuple[str, ...] = NAMES
    sgd_head: tuple[float, float] = (1e-3, 1e-1)
    sgd_backbone: tuple[float, float] = (3e-4, 3e-2)
    adamw_head: tuple[float, float] = (3e-4, 1e-2)
    adamw_backbone: tuple[float, float] = (3e-5, 3e-3)
    layer_decay: tuple[float, float] = (1.0, 1.0)
    schedules: tuple[str, ...] = SCHEDULES
    warmup: float = 0.0
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("optimizer.names", self.names, NAMES)
        check_choices("optimizer.schedules", self.schedules, SCHEDULES)
        for name in ("sgd_head", "sgd_backbone", "adamw_head", "adamw_backbone", "layer_decay"):
            low, high = getattr(self, name)
            check_range(f"optimizer.{name}", low, high)
            if low <= 0:
                raise ValueError(f"optimizer.{name}: low must be above 0, got {low:g}")
        check_number("optimizer.layer_decay", self.layer_decay[1], 0, 1)
        check_number("optimizer.warmup", self.warmup, 0, 0.9)


@dataclass(frozen=True, slots=True)
class Optimizer:
    """How parameters move. The defaults are the plain recipe of the tutorials.

    Attributes:
        lr_head: learning rate of the head; ``lr_backbone`` that of the last unit, each unit before it has
            ``layer_decay`` times that of the one behind.
        warmup: share of all steps in which learning rates rise from 0.
    """

    name: str = "sgd"
    lr_head: float = 1e-3
    lr_backbone: float = 1e-3
    momentum: float = 0.9
    layer_decay: float = 1.0
    schedule: str = "constant"
    warmup: float = 0.0


PLAIN = Optimizer()


@dataclass(frozen=True, slots=True)
class Choices:
    """The range, whether anything but the head learns, and whether that is more than one unit."""

    within: Range
    backbone: bool = True
    decays: bool = True


class OptimizerDecision(Decision[Optimizer]):
    """SGD with momentum 0.9 or AdamW; constant or cosine learning rates."""

    name, stage, options = "optimizer", Stage.RECIPE, Range

    def choices(self, chain: Chain, within: Range) -> Choices:
        return Choices(within)

    def narrow(self, choices: Choices, chain: Chain) -> Choices:
        """Return ``choices`` without a learning rate of the backbone where nothing but the head learns, and without
        a layer decay where the last unit alone does."""
        learning = [learns(unit) for unit in chain]
        return replace(choices, backbone=any(learning), decays=any(learning[:-1]))

    def baseline(self, chain: Chain) -> Optimizer:
        """Return what tutorials do: SGD for images; for texts AdamW at 5e-5, one of the rates of BERT's authors.

        Their schedule is linear (https://arxiv.org/abs/1810.04805, appendix A.3); half a cosine comes nearest here.
        """
        if chain.kind == "tokens":
            return Optimizer("adamw", 5e-5, 5e-5, schedule="cosine")
        return Optimizer()

    def sample(self, suggest: Suggest, choices: Choices) -> Optimizer:
        offered = choices.within
        name = str(suggest.choice("optimizer.name", offered.names))
        ranges = _ranges(name, choices)
        drawn = {
            key: rounded(suggest.real(key, low, high, log=log), low, high) for key, (low, high, log) in ranges.items()
        }
        lr_head = drawn[f"optimizer.{name}.lr_head"]
        return Optimizer(
            name=name,
            lr_head=lr_head,
            lr_backbone=drawn.get(f"optimizer.{name}.lr_backbone", lr_head),
            layer_decay=drawn.get("optimizer.layer_decay", offered.layer_decay[1] if choices.decays else 1.0),
            schedule=str(suggest.choice("optimizer.schedule", offered.schedules)),
            warmup=offered.warmup,
        )

    def params(self, value: Optimizer, choices: Choices) -> Mapping[str, Scalar] | None:
        offered, name = choices.within, value.name
        if name not in offered.names or value.schedule not in offered.schedules or value.warmup != offered.warmup:
            return None
        given = {
            f"optimizer.{name}.lr_head": value.lr_head,
            f"optimizer.{name}.lr_backbone": value.lr_backbone,
            "optimizer.layer_decay": value.layer_decay,
        }
        ranges = _ranges(name, choices)
        low, high = offered.layer_decay if choices.decays else (1.0, 1.0)
        if any(not least <= given[key] <= most for key, (least, most, _) in ranges.items()):
            return None
        if not low <= value.layer_decay <= high:
            return None
        found: dict[str, Scalar] = {"optimizer.name": name, "optimizer.schedule": value.schedule}
        return found | {key: given[key] for key in ranges}

    def settle(self, value: Optimizer, chain: Chain) -> Optimizer:
        seen = self.narrow(Choices(Range()), chain)
        return replace(
            value,
            lr_backbone=value.lr_backbone if seen.backbone else value.lr_head,
            layer_decay=value.layer_decay if seen.decays else 1.0,
            momentum=value.momentum if value.name == "sgd" else PLAIN.momentum,
        )

    def apply(self, chain: Chain, value: Optimizer) -> Chain:
        return chain

    def words(self, value: Optimizer, chain: Chain) -> str:
        frozen = all(unit.is_frozen for unit in chain)
        rates = short(value.lr_head)
        if not frozen and value.lr_head != value.lr_backbone:
            rates = f"{rates} head, {short(value.lr_backbone)} backbone"
        decay = f", layer decay {value.layer_decay:.2g}" if value.layer_decay < 1 else ""
        return f"{_LABELS[value.name]} lr {rates}{decay}{', cosine' if value.schedule == 'cosine' else ''}"

    def dump(self, value: Optimizer) -> Json:
        return {name: getattr(value, name) for name in Optimizer.__dataclass_fields__}

    def parse(self, data: Json) -> Optimizer:
        value = read_fields(self.name, data, Optimizer)
        read_choice("optimizer.name", value.name, NAMES)
        read_choice("optimizer.schedule", value.schedule, SCHEDULES)
        for name, least, most in (("lr_head", 0, None), ("lr_backbone", 0, None), *_SHARES):
            read_number(f"optimizer.{name}", getattr(value, name), least=least, most=most)
        return value


def _ranges(name: str, choices: Choices) -> dict[str, tuple[float, float, bool]]:
    """Return the numbers that are asked for: lowest, highest, and whether they are drawn on a log scale."""
    within = choices.within
    found: dict[str, tuple[float, float, bool]] = {
        f"optimizer.{name}.lr_head": (*getattr(within, f"{name}_head"), True)
    }
    if choices.backbone:
        found[f"optimizer.{name}.lr_backbone"] = (*getattr(within, f"{name}_backbone"), True)
    low, high = within.layer_decay
    if choices.decays and low < high:
        found["optimizer.layer_decay"] = (low, high, False)
    return found


decision = OptimizerDecision()
