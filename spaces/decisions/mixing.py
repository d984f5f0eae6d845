"""Whether training images, and their labels in proportion, are mixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import check_choices, check_range, read_choice, read_fields, read_number, rounded
from spaces.decisions._prior import Normal, mostly

KINDS = ("none", "mixup", "cutmix")


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Kinds that may be tried, and the range of the parameter of the Beta distribution of mixing weights."""

    kinds: tuple[str, ...] = KINDS
    mixup: tuple[float, float] = (0.1, 0.8)
    cutmix: tuple[float, float] = (0.2, 1.0)
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("mixing.kinds", self.kinds, KINDS)
        for kind in KINDS[1:]:
            low, high = getattr(self, kind)
            check_range(f"mixing.{kind}", low, high)
            if low <= 0:
                raise ValueError(f"mixing.{kind}: the parameter of a Beta distribution is above 0, got {low:g}")


ALPHAS = {"mixup": Normal(0.2, 0.15), "cutmix": Normal(1.0, 0.3)}
"""Priors: the papers' values for ImageNet."""


@dataclass(frozen=True, slots=True)
class Mixing:
    """``none``, ``mixup`` or ``cutmix``; a batch's mixing weight is drawn from Beta(``alpha``, ``alpha``)."""

    kind: str = "none"
    alpha: float = 0.0


def mixes(values: Mapping[str, Any]) -> bool:
    """Return whether a candidate with these ``values`` by decision mixes its samples."""
    mixing = values.get("mixing")
    return isinstance(mixing, Mixing) and mixing.kind != "none"


class MixingDecision(Decision[Mixing]):
    """mixup (https://arxiv.org/abs/1710.09412) and CutMix (https://arxiv.org/abs/1905.04899).

    Behind frozen units it is their outputs that are mixed, so that they are computed once for all epochs; CutMix needs
    maps for that, and mixes images where there are none.
    """

    name, stage, options = "mixing", Stage.RECIPE, Range

    def choices(self, chain: Chain, within: Range) -> Range:
        return within

    def baseline(self, chain: Chain) -> Mixing:
        return Mixing()

    def sample(self, suggest: Suggest, choices: Range) -> Mixing:
        kind = str(suggest.choice("mixing.kind", choices.kinds, prior=mostly("none", 0.7)))
        if kind == "none":
            return Mixing()
        low, high = getattr(choices, kind)
        return Mixing(kind, rounded(suggest.real(f"mixing.{kind}", low, high, prior=ALPHAS[kind]), low, high))

    def params(self, value: Mixing, choices: Range) -> Mapping[str, Scalar] | None:
        if value.kind not in choices.kinds:
            return None
        if value.kind == "none":
            return {"mixing.kind": "none"}
        low, high = getattr(choices, value.kind)
        inside = low <= value.alpha <= high
        return {"mixing.kind": value.kind, f"mixing.{value.kind}": value.alpha} if inside else None

    def settle(self, value: Mixing, chain: Chain) -> Mixing:
        return Mixing() if value.kind == "none" else value

    def apply(self, chain: Chain, value: Mixing) -> Chain:
        return chain

    def meant(self, wish: Json, chain: Chain, choices: Range | None) -> Mixing | None:
        if choices is None or wish["kind"] not in choices.kinds:
            return None
        return Mixing(wish["kind"], rounded(wish["alpha"], *getattr(choices, wish["kind"])))

    def words(self, value: Mixing, chain: Chain) -> str:
        return "" if value.kind == "none" else f"{value.kind} {value.alpha:.2g}"

    def dump(self, value: Mixing) -> Json:
        return {"kind": value.kind, "alpha": value.alpha}

    def parse(self, data: Json) -> Mixing:
        value = read_fields(self.name, data, Mixing)
        read_choice("mixing.kind", value.kind, KINDS)
        read_number("mixing.alpha", value.alpha, least=0 if value.kind == "none" else 1e-6)
        return value


decision = MixingDecision()
