"""Fewer neurons in the hidden linear layers of the pretrained network's own classifier (VGG, AlexNet, MobileNetV3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

from torch import nn

from spaces.candidate import Json
from spaces.chains import probe
from spaces.chains.chain import Chain, Unit
from spaces.decisions._base import Decision, NotApplicable, Scalar, Stage, Suggest
from spaces.decisions._checks import check_choices, read_number
from spaces.decisions._prior import mostly
from spaces.errors import CandidateError, ProbeError, SurgeryError
from spaces.surgery import edits


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Shares of the neurons that may be kept, in 0..1; 1 leaves a layer unchanged."""

    shares: tuple[float, ...] = (0.25, 0.5, 1.0)
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("width.shares", self.shares)
        for share in self.shares:
            if not 0 < share <= 1:
                raise ValueError(f"width.shares: must be above 0 and at most 1, got {share:g}")


@dataclass(frozen=True, slots=True)
class Choices:
    """The hidden layers by unit name, with their neurons, and the shares that may be kept."""

    layers: Mapping[str, int]
    shares: tuple[float, ...]


Widths = tuple[tuple[str, int], ...]
"""Unit -> number of neurons kept, for the layers that change."""


class Width(Decision[Widths]):
    """The neurons with the largest weights (L2 norm, https://arxiv.org/abs/1608.08710) are kept, the others removed."""

    name, stage, options = "width", Stage.RESHAPE, Range

    def choices(self, chain: Chain, within: Range) -> Choices | NotApplicable:
        layers = {name: linear.out_features for name, linear in _hidden(chain).items()}
        layers = {name: count for name, count in layers.items() if _runs(chain, self.apply(chain, ((name, 1),)))}
        if not layers:
            return NotApplicable("the pretrained classifier has no hidden linear layer")
        return Choices(layers, within.shares)

    def narrow(self, choices: Choices, chain: Chain) -> Choices:
        left = {unit.name for unit in chain}
        return replace(choices, layers={name: count for name, count in choices.layers.items() if name in left})

    def baseline(self, chain: Chain) -> Widths:
        return ()

    def extremes(self, choices: Choices, chain: Chain) -> tuple[Widths, Widths]:
        return _kept({name: min(choices.shares) for name in choices.layers}, choices), ()

    def sample(self, suggest: Suggest, choices: Choices) -> Widths:
        shares = {
            name: float(suggest.choice(f"width.{name}", choices.shares, prior=mostly(1.0, 0.8)))
            for name in choices.layers
        }
        return _kept(shares, choices)

    def params(self, value: Widths, choices: Choices) -> Mapping[str, Scalar] | None:
        params: dict[str, Scalar] = {}
        for name, count in choices.layers.items():
            wanted = dict(value).get(name, count)
            shares = [share for share in choices.shares if _neurons(share, count) == wanted]
            if not shares:
                return None
            params[f"width.{name}"] = shares[-1]
        return params if all(name in choices.layers for name, _ in value) else None

    def touches(self, choices: Choices, chain: Chain) -> tuple[str, ...]:
        return tuple(choices.layers)

    def keeps_function(self, value: Widths, chain: Chain) -> bool:
        return not value

    def settle(self, value: Widths, chain: Chain) -> Widths:
        left = {unit.name for unit in chain}
        return tuple((name, count) for name, count in value if name in left)

    def apply(self, chain: Chain, value: Widths) -> Chain:
        for name, count in value:
            hidden = _hidden(chain)
            if name not in hidden:
                raise CandidateError(f"candidate: width: {name!r} is not a hidden linear layer; {_known(hidden)}")
            if count > hidden[name].out_features:
                raise CandidateError(f"candidate: width: {name} has {hidden[name].out_features} neurons, got {count}")
            chain = _narrowed(chain, name, count)
        return chain

    def words(self, value: Widths, chain: Chain) -> str:
        return ", ".join(f"{count} neurons in {name}" for name, count in value)

    def dump(self, value: Widths) -> Json:
        return [[name, count] for name, count in value]

    def parse(self, data: Json) -> Widths:
        if not isinstance(data, list) or not all(
            isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in data
        ):
            raise CandidateError(f"candidate: width must be a list of [unit, neurons], got {data!r}")
        return tuple((name, int(read_number("width", count, whole=True, least=1))) for name, count in data)


def _kept(shares: Mapping[str, float], choices: Choices) -> Widths:
    counts = {name: _neurons(share, choices.layers[name]) for name, share in shares.items()}
    return tuple((name, count) for name, count in counts.items() if count < choices.layers[name])


def _neurons(share: float, count: int) -> int:
    return max(round(share * count), 1)


def _known(hidden: Mapping[str, nn.Linear]) -> str:
    return f"there are {', '.join(hidden)}" if hidden else "this backbone has none"


def _linears(unit: Unit) -> list[tuple[str, nn.Linear]]:
    """Return the unit's only layer with weights if it is linear."""
    weighted = [(path, layer) for path, layer in unit.module.named_modules() if _owns_weights(layer)]
    return [(path, layer) for path, layer in weighted if isinstance(layer, nn.Linear)] if len(weighted) == 1 else []


def _owns_weights(layer: nn.Module) -> bool:
    return any(True for _ in layer.parameters(recurse=False))


def _hidden(chain: Chain) -> dict[str, nn.Linear]:
    """Return the linear layers that output a vector and are followed by another one, or end the chain."""
    vectors = [unit for unit, facts in zip(chain, probe.describe(chain), strict=True) if len(facts.out_shape) == 1]
    layers = {unit.name: linears[0][1] for unit in vectors if (linears := _linears(unit))}
    alone = {
        first.name for first, second in pairwise(chain.units) if not second.skipped and not _linears(second)
    }  # a following norm or attention would have to be cut too
    return {name: linear for name, linear in layers.items() if name not in alone}


def _narrowed(chain: Chain, name: str, count: int) -> Chain:
    index = next(index for index, unit in enumerate(chain) if unit.name == name)
    ((path, linear),) = _linears(chain.units[index])
    kept = edits.strongest(linear, count)
    chain = _with_linear(chain, index, path, edits.narrow_outputs(linear, kept), f"{count} neurons")
    if index + 1 < len(chain):
        ((path, linear),) = _linears(chain.units[index + 1])
        chain = _with_linear(chain, index + 1, path, edits.narrow_inputs(linear, kept), f"{count} inputs")
    return chain


def _with_linear(chain: Chain, place: int, path: str, linear: nn.Linear, edit: str) -> Chain:
    unit = chain.units[place]
    module = edits.mirror(unit.module)
    edits.replace_submodule(module, path, linear)
    return chain.with_unit(place, replace(unit, module=module, edits=(*unit.edits, edit)))


def _runs(chain: Chain, changed: Chain) -> bool:
    try:
        return len(probe.output_shape(changed)) == len(probe.output_shape(chain))
    except (ProbeError, SurgeryError):
        return False


decision = Width()
