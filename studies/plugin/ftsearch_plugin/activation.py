"""A decision: every ReLU of the backbone may become a SiLU. Its key in a study file is ``space.activation``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import nn

from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, Stage, Suggest
from spaces.decisions._checks import read_choice
from spaces.surgery.edits import mirror, replace_submodule

NAMES = ("relu", "silu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What a study file may say: the activations to choose from."""

    names: tuple[str, ...] = NAMES
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


class Activation(Decision[str]):
    """Smooth activations in place of ReLU; the pretrained weights stay."""

    name, stage, options = "activation", Stage.RESHAPE, Range

    def choices(self, chain: Chain, within: Range) -> tuple[str, ...]:
        return within.names

    def baseline(self, chain: Chain) -> str:
        return "relu"

    def sample(self, suggest: Suggest, choices: Sequence[str]) -> str:
        return suggest.choice("activation", choices)

    def params(self, value: str, choices: Sequence[str]) -> dict[str, Any] | None:
        return {"activation": value} if value in choices else None

    def apply(self, chain: Chain, value: str) -> Chain:
        if value == "relu":
            return chain
        return replace(chain, units=tuple(replace(unit, module=smooth(unit.module)) for unit in chain))

    def words(self, value: str, chain: Chain) -> str:
        return "SiLU for ReLU" if value == "silu" else ""

    def dump(self, value: str) -> str:
        return value

    def parse(self, data: Any) -> str:
        return read_choice("activation", data, NAMES)


def smooth(module: nn.Module) -> nn.Module:
    """Return a copy of ``module`` that shares its weights and has SiLU wherever it had ReLU."""
    changed = mirror(module)
    for path, layer in list(changed.named_modules()):
        if isinstance(layer, nn.ReLU):
            replace_submodule(changed, path, nn.SiLU())
    return changed


decision = Activation()
