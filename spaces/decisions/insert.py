"""New blocks after units of the network, which start as the identity and learn along with the rest or in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import nn

from spaces.candidate import Json
from spaces.chains import probe
from spaces.chains.chain import Chain, Unit
from spaces.decisions._base import Decision, Scalar, Stage, Suggest, nearest
from spaces.decisions._checks import check_choices, check_range, read_choice, read_fields, read_number
from spaces.decisions._prior import mostly
from spaces.decisions._stages import EVERYWHERE, NOWHERE, narrowest_stage, stage_meant, stage_words, stages, units_at
from spaces.errors import CandidateError
from spaces.surgery import adapters


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Blocks that may be inserted.

    Attributes:
        kinds: ``adapter`` (1x1, a bottleneck) or ``conv`` (3x3 and 1x1; only after feature maps).
        widths: channels inside a block.
        everywhere: whether all units may be followed by a block; otherwise at most those of one stage.
    """

    kinds: tuple[str, ...] = adapters.BLOCKS
    widths: tuple[int, ...] = (8, 32)
    everywhere: bool = True
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("insert.kinds", self.kinds, adapters.BLOCKS)
        check_choices("insert.widths", self.widths)
        check_range("insert.widths", min(self.widths), None, least=1)


OFF = 0.7
"""Prior of none: adapters help most if the rest is frozen (https://arxiv.org/abs/1902.00751)."""


@dataclass(frozen=True, slots=True)
class Inserted:
    """Blocks of ``kind`` with ``width`` channels inside, after the units at ``where`` (``none``, ``all``, a stage)."""

    where: str = NOWHERE
    kind: str = ""
    width: int = 0


@dataclass(frozen=True, slots=True)
class Choices:
    """Places, and the range with only the kinds that fit this network."""

    places: tuple[str, ...]
    kinds: tuple[str, ...]
    widths: tuple[int, ...]


class Insert(Decision[Inserted]):
    """Residual blocks that start as the identity: their last layer is zero. They learn after frozen units too."""

    name, stage, options = "insert", Stage.INSERT, Range

    def choices(self, chain: Chain, within: Range) -> Choices:
        kinds = within.kinds
        if not any(_is_map(chain, facts.out_shape) for facts in probe.describe(chain)):
            kinds = tuple(kind for kind in kinds if kind != "conv") or ("adapter",)
        places = (NOWHERE, *stages(chain), *((EVERYWHERE,) if within.everywhere else ()))
        return Choices(places, kinds, within.widths)

    def baseline(self, chain: Chain) -> Inserted:
        return Inserted()

    def extremes(self, choices: Choices, chain: Chain) -> tuple[Inserted, Inserted]:
        return Inserted(), Inserted(choices.places[-1], choices.kinds[-1], max(choices.widths))

    def sample(self, suggest: Suggest, choices: Choices) -> Inserted:
        where = str(suggest.choice("insert.where", choices.places, prior=mostly(NOWHERE, OFF)))
        if where == NOWHERE:
            return Inserted()
        kind = str(suggest.choice("insert.kind", choices.kinds))
        return Inserted(where, kind, int(suggest.choice("insert.width", choices.widths)))

    def params(self, value: Inserted, choices: Choices) -> Mapping[str, Scalar] | None:
        if value.where == NOWHERE:
            return {"insert.where": NOWHERE}
        if value.where not in choices.places or value.kind not in choices.kinds or value.width not in choices.widths:
            return None
        return {"insert.where": value.where, "insert.kind": value.kind, "insert.width": value.width}

    def touches(self, choices: Choices, chain: Chain) -> tuple[str, ...]:
        return tuple(unit.name for unit in chain if not unit.skipped)

    def settle(self, value: Inserted, chain: Chain) -> Inserted:
        where = narrowest_stage(value.where, list(self._places(chain, value)), chain)
        return Inserted() if where == NOWHERE else replace(value, where=where)

    def apply(self, chain: Chain, value: Inserted) -> Chain:
        for index, shape in self._places(chain, value).items():
            chain = chain.with_unit(index, _followed(chain.units[index], value, chain, shape))
        return chain

    def _places(self, chain: Chain, value: Inserted) -> dict[int, tuple[int, ...]]:
        """Return the indices of the units that get a block, with the shape of its input."""
        places = units_at(self.name, value.where, chain)
        facts = probe.describe(chain) if places else ()
        shapes = {index: facts[index].out_shape for index in places if not chain.units[index].skipped}
        return {index: shape for index, shape in shapes.items() if value.kind != "conv" or _is_map(chain, shape)}

    def meant(self, wish: Json, chain: Chain, choices: Choices | None) -> Inserted | None:
        if choices is None:
            return None
        return Inserted(stage_meant(wish["where"], chain), wish["kind"], nearest(wish["width"], choices.widths))

    def words(self, value: Inserted, chain: Chain) -> str:
        if value.where == NOWHERE:
            return ""
        kind = "adapters" if value.kind == "adapter" else "3x3 blocks"
        return f"{kind} of {value.width} after {stage_words(value.where, chain)}"

    def dump(self, value: Inserted) -> Json:
        return {"where": value.where, "kind": value.kind, "width": value.width}

    def parse(self, data: Json) -> Inserted:
        value = read_fields(self.name, data, Inserted)
        if not isinstance(value.where, str):
            raise CandidateError(f"candidate: insert.where must be a name, got {value.where!r}")
        if value.where == NOWHERE:
            return Inserted()
        read_choice("insert.kind", value.kind, adapters.BLOCKS)
        read_number("insert.width", value.width, whole=True, least=1)
        return value


def _is_map(chain: Chain, shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and not probe.is_channels_last(chain, shape)


def _followed(unit: Unit, value: Inserted, chain: Chain, shape: tuple[int, ...]) -> Unit:
    is_map = _is_map(chain, shape)
    channels = shape[0] if is_map else shape[-1] - bool(chain.facts.get("masked"))
    device = next((tensor.device for tensor in (*unit.module.parameters(), *unit.module.buffers())), None)
    block = adapters.block(value.kind, channels, value.width, is_map=is_map).to(device).train(unit.module.training)
    for path, layer in block.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and not path.endswith("up"):
            adapters.draw(layer.weight, f"{unit.name}.{path}")
            nn.init.zeros_(layer.bias) if layer.bias is not None else None
    name = f"inserted_{unit.name.replace('.', '_')}"
    module = adapters.append(unit.module, name, block)
    edit = f"{'3x3 block' if value.kind == 'conv' else 'adapter'} of {value.width}"
    return replace(unit, module=module, edits=(*unit.edits, edit), extra=(*unit.extra, name))


decision = Insert()
