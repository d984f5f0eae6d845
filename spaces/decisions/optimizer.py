"""The optimiser, learning rates of head and backbone, and their schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from spaces.candidate import Json, short
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import (
    check_choices,
    check_number,
    check_range,
    read_choice,
    read_fields,
    read_number,
    rounded,
)
from spaces.decisions._prior import Normal, mostly
from spaces.decisions._trainable import learns

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
        layer_decay: range of the factor by which the learning rate falls from each unit to the one before it.
        warmup: share of all steps over which learning rates rise from 0; by default the optimiser's ``WARMUP``.
    """

    names: tuple[str, ...] = NAMES
    sgd_head: tuple[float, float] = (1e-3, 1e-1)
    sgd_backbone: tuple[float, float] = (3e-4, 3e-2)
    adamw_head: tuple[float, float] = (3e-5, 1e-2)
    adamw_backbone: tuple[float, float] = (3e-5, 3e-3)
    layer_decay: tuple[float, float] = (1.0, 1.0)
    schedules: tuple[str, ...] = SCHEDULES
    warmup: float | None = None
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
        if self.warmup is not None:
            check_number("optimizer.warmup", self.warmup, 0, 0.9)

    def warmup_of(self, name: str) -> float:
        """Return the share of steps over which the learning rates of the optimiser ``name`` rise."""
        return WARMUP[name] if self.warmup is None else self.warmup


@dataclass(frozen=True, slots=True)
class Optimizer:
    """Optimiser settings. The defaults are the plain recipe of tutorials.

    Attributes:
        lr_head: learning rate of the head; ``lr_backbone`` that of the last unit, each unit before it has
            ``layer_decay`` times that of the one behind.
        warmup: share of all steps over which learning rates rise from 0.
    """

    name: str = "sgd"
    lr_head: float = 1e-3
    lr_backbone: float = 1e-3
    momentum: float = 0.9
    layer_decay: float = 1.0
    schedule: str = "constant"
    warmup: float = 0.0


PLAIN = Optimizer()
WARMUP = {"sgd": 0.0, "adamw": 0.1}
"""Adam's first steps are as long as its rate allows, whatever the gradients are (https://arxiv.org/abs/1908.03265):
they undo a head that starts solved. MobileNetV2's last two stages at 3e-4, 12 epochs, sketches: test accuracy
0.47 without a warm-up, 0.85 with it; the last stage 0.72 and 0.83."""
RATES = {
    "sgd": {"lr_head": Normal(1e-2, 2.5), "lr_backbone": Normal(2e-3, 2.5)},
    "adamw": {"lr_head": Normal(2e-4, 2.5), "lr_backbone": Normal(1.5e-4, 2.0)},
}
"""Priors. SGD: the middle of the 1e-4 to 1e-1 that are searched for fine-tuning (Kornblith 2019,
https://arxiv.org/abs/1805.08974), the backbone slower than the new head (ULMFiT's discriminative rates,
https://arxiv.org/abs/1801.06146). AdamW: on the last stage of
MobileNetV2 3e-4 measured best and 1e-3 too high; a head that starts solved needs no more than 1e-4 to 3e-4."""
_TEXTS = {"lr_head": Normal(3e-4, 3), "lr_backbone": Normal(3e-5, 1.7)}
"""BERT's authors found 2e-5 to 5e-5 (https://arxiv.org/abs/1810.04805, appendix A.3)."""
_FEW, _FASTER = 0.34, 2.0
"""If at most this share of the units learns, there is less to break: their rate is multiplied by the factor."""
_LAYER_DECAY = Normal(0.85, 0.1)


@dataclass(frozen=True, slots=True)
class Choices:
    """The range, and which parts of the backbone learn.

    Attributes:
        backbone: whether anything but the head learns; ``decays`` whether more than the last unit does.
        share: of the units that learn.
        tokens: whether the network reads texts.
    """

    within: Range
    backbone: bool = True
    decays: bool = True
    share: float = 1.0
    tokens: bool = False


class OptimizerDecision(Decision[Optimizer]):
    """SGD with momentum 0.9 or AdamW; constant or cosine learning rates."""

    name, stage, options = "optimizer", Stage.RECIPE, Range

    def choices(self, chain: Chain, within: Range) -> Choices:
        return Choices(within)

    def narrow(self, choices: Choices, chain: Chain) -> Choices:
        """Return ``choices`` without a backbone learning rate if only the head learns, and without a layer decay if
        only the last unit does."""
        learning = [learns(unit) for unit in chain]
        share = sum(learning) / max(len(learning), 1)
        tokens = chain.kind == "tokens"
        return replace(choices, backbone=any(learning), decays=any(learning[:-1]), share=share, tokens=tokens)

    def baseline(self, chain: Chain) -> Optimizer:
        """Return what tutorials do: SGD for images; for texts AdamW at 5e-5, one of the rates of BERT's authors.

        They also warm up, then decay linearly (https://arxiv.org/abs/1810.04805, appendix A.2); half a cosine is the
        nearest schedule here.
        """
        if chain.kind == "tokens":
            return Optimizer("adamw", 5e-5, 5e-5, schedule="cosine", warmup=WARMUP["adamw"])
        return Optimizer()

    def sample(self, suggest: Suggest, choices: Choices) -> Optimizer:
        offered = choices.within
        name = str(suggest.choice("optimizer.name", offered.names, prior=mostly("adamw", 0.6)))
        ranges = _ranges(name, choices)
        drawn = {
            key: rounded(suggest.real(key, low, high, log=log, prior=_prior(key, choices)), low, high)
            for key, (low, high, log) in ranges.items()
        }
        lr_head = drawn[f"optimizer.{name}.lr_head"]
        return Optimizer(
            name=name,
            lr_head=lr_head,
            lr_backbone=drawn.get(f"optimizer.{name}.lr_backbone", lr_head),
            layer_decay=drawn.get("optimizer.layer_decay", offered.layer_decay[1] if choices.decays else 1.0),
            schedule=str(suggest.choice("optimizer.schedule", offered.schedules, prior=mostly("cosine", 0.75))),
            warmup=offered.warmup_of(name),
        )

    def params(self, value: Optimizer, choices: Choices) -> Mapping[str, Scalar] | None:
        offered, name = choices.within, value.name
        if (
            name not in offered.names
            or value.schedule not in offered.schedules
            or value.warmup != offered.warmup_of(name)
        ):
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
        params: dict[str, Scalar] = {"optimizer.name": name, "optimizer.schedule": value.schedule}
        return params | {key: given[key] for key in ranges}

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

    def meant(self, wish: Json, chain: Chain, choices: Choices | None) -> Optimizer | None:
        """Return the optimiser with rates as near as the range allows, and its schedule if that is offered."""
        if choices is None or wish["name"] not in choices.within.names:
            return None
        offered, name = choices.within, wish["name"]
        heads, bodies = getattr(offered, f"{name}_head"), getattr(offered, f"{name}_backbone")
        schedule = wish.get("schedule", PLAIN.schedule)
        head = rounded(wish["lr_head"], *heads)
        return Optimizer(
            name,
            head,
            rounded(wish.get("lr_backbone", head), *bodies) if choices.backbone else head,
            layer_decay=rounded(wish.get("layer_decay", 1.0), *offered.layer_decay) if choices.decays else 1.0,
            schedule=schedule if schedule in offered.schedules else offered.schedules[0],
            warmup=offered.warmup_of(name),
        )

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
    """Return the numbers to ask for: lowest, highest, and whether they are drawn on a log scale."""
    within = choices.within
    ranges: dict[str, tuple[float, float, bool]] = {
        f"optimizer.{name}.lr_head": (*getattr(within, f"{name}_head"), True)
    }
    if choices.backbone:
        ranges[f"optimizer.{name}.lr_backbone"] = (*getattr(within, f"{name}_backbone"), True)
    low, high = within.layer_decay
    if choices.decays and low < high:
        ranges["optimizer.layer_decay"] = (low, high, False)
    return ranges


def _prior(key: str, choices: Choices) -> Normal:
    _, *name, rate = key.split(".")
    if not name:
        return _LAYER_DECAY
    known = _TEXTS[rate] if choices.tokens and name[0] == "adamw" else RATES[name[0]][rate]
    is_few = rate == "lr_backbone" and choices.share <= _FEW
    return replace(known, center=known.center * _FASTER) if is_few else known


decision = OptimizerDecision()
