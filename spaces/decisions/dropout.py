"""Dropout before the head's linear layers, and stochastic depth in residual units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains import probe
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import check_number, read_fields, read_number, rounded
from spaces.decisions._prior import Normal

_MOST = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Largest rates; 0 switches a kind off.

    Attributes:
        head: of dropout before every linear layer of the head.
        depth: share of samples that skip the last residual unit (proportionally less for earlier ones).
    """

    head: float = 0.5
    depth: float = 0.0
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_number("dropout.head", self.head, 0, _MOST)
        check_number("dropout.depth", self.depth, 0, _MOST)


@dataclass(frozen=True, slots=True)
class DropoutRates:
    """Rates during training: of the head's inputs, and of samples in the last residual unit."""

    head: float = 0.0
    depth: float = 0.0


HEAD, DEPTH = Normal(0.2, 0.15), Normal(0.1, 0.1)
"""Priors: torchvision's MobileNetV2 and EfficientNet-B0 drop 0.2 in front of their classifiers, its ConvNeXt-T 0.1 of
the last residual unit's samples."""


class Dropout(Decision[DropoutRates]):
    """Dropout (https://jmlr.org/papers/v15/srivastava14a.html) and stochastic depth (https://arxiv.org/abs/1603.09382)."""

    name, stage, options = "dropout", Stage.HEAD, Range

    def choices(self, chain: Chain, within: Range) -> Range:
        if within.depth and not any(probe.residual(unit.module) for unit in chain):
            return Range(head=within.head, depth=0.0)
        return within

    def narrow(self, choices: Range, chain: Chain) -> Range:
        """Return ``choices`` without stochastic depth if no residual unit learns."""
        if choices.depth and not any(not unit.is_frozen and probe.residual(unit.module) for unit in chain):
            return replace(choices, depth=0.0)
        return choices

    def settle(self, value: DropoutRates, chain: Chain) -> DropoutRates:
        if not value.depth or self.narrow(Range(depth=_MOST), chain).depth:
            return value
        return replace(value, depth=0.0)

    def baseline(self, chain: Chain) -> DropoutRates:
        return DropoutRates()

    def sample(self, suggest: Suggest, choices: Range) -> DropoutRates:
        head = suggest.real("dropout.head", 0.0, choices.head, prior=HEAD) if choices.head else 0.0
        depth = suggest.real("dropout.depth", 0.0, choices.depth, prior=DEPTH) if choices.depth else 0.0
        return DropoutRates(rounded(head, 0.0, choices.head), rounded(depth, 0.0, choices.depth))

    def params(self, value: DropoutRates, choices: Range) -> Mapping[str, Scalar] | None:
        if value.head > choices.head or value.depth > choices.depth:
            return None
        params: dict[str, Scalar] = {"dropout.head": value.head} if choices.head else {}
        return params | ({"dropout.depth": value.depth} if choices.depth else {})

    def apply(self, chain: Chain, value: DropoutRates) -> Chain:
        return chain

    def meant(self, wish: Json, chain: Chain, choices: Range | None) -> DropoutRates:
        most = choices or Range(head=0, depth=0)
        return DropoutRates(min(wish.get("head", 0.0), most.head), min(wish.get("depth", 0.0), most.depth))

    def words(self, value: DropoutRates, chain: Chain) -> str:
        parts = (("dropout", value.head), ("stochastic depth", value.depth))
        return ", ".join(f"{name} {share:.2g}" for name, share in parts if share)

    def dump(self, value: DropoutRates) -> Json:
        return {"head": value.head, "depth": value.depth}

    def parse(self, data: Json) -> DropoutRates:
        value = read_fields(self.name, data, DropoutRates)
        for name in ("head", "depth"):
            read_number(f"dropout.{name}", getattr(value, name), most=_MOST)
        return value


decision = Dropout()
