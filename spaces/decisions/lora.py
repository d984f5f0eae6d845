"""Low-rank adapters: pretrained matrices stay; learnt updates are added to them and can be merged at export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain, Unit
from spaces.decisions._base import Decision, NotApplicable, Scalar, Stage, Suggest, nearest
from spaces.decisions._checks import check_choices, check_numbers, check_range, read_fields, read_number
from spaces.decisions._prior import Categorical
from spaces.decisions._stages import EVERYWHERE, NOWHERE, narrowest_stage, stage_meant, stage_words, stages, units_at
from spaces.errors import CandidateError
from spaces.surgery import low_rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Low-rank updates that may be tried.

    Attributes:
        ranks: of the update; layers with no fewer parameters than their update are left alone.
        scales: factors of the update (``alpha / rank`` in the paper).
        everywhere: whether all units may be adapted; otherwise at most those of one stage.
    """

    ranks: tuple[int, ...] = (4, 16)
    scales: tuple[float, ...] = (1.0,)
    everywhere: bool = True
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("lora.ranks", self.ranks)
        check_range("lora.ranks", min(self.ranks), None, least=1)
        check_numbers("lora.scales", self.scales, 1e-6)


OFF = 0.7
"""Prior of none; otherwise all units are as likely as any single stage: for a given number of parameters, spreading
them over more matrices did better (https://arxiv.org/abs/2106.09685, section 7.1)."""


@dataclass(frozen=True, slots=True)
class Updates:
    """Updates of ``rank``, multiplied by ``scale``, in the units at ``where`` (``none``, ``all``, a stage)."""

    where: str = NOWHERE
    rank: int = 0
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Choices:
    """Places where at least one layer can be adapted, and the range.

    ``sole``: by rank, the only stage with anything to adapt, if there is just one; ``none`` if there is none.
    """

    places: tuple[str, ...]
    within: Range
    sole: Mapping[int, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return bool(self.sole) and all(stage == NOWHERE for stage in self.sole.values())


class LoRA(Decision[Updates]):
    """Linear and 1x1 layers keep their weights and get a learnt low-rank update, in frozen units too.

    After https://arxiv.org/abs/2106.09685. The update starts as zero.
    """

    name, stage, options = "lora", Stage.INSERT, Range

    def choices(self, chain: Chain, within: Range) -> Choices | NotApplicable:
        rank = min(within.ranks)
        fitting = [
            stage
            for stage, names in stages(chain).items()
            if any(unit.name in names and low_rank.low_rank_targets(unit.module, rank) for unit in chain)
        ]
        if not fitting:
            return NotApplicable(f"no linear or 1x1 layer that an update of rank {rank} makes smaller")
        return Choices((NOWHERE, *fitting, *((EVERYWHERE,) if within.everywhere else ())), within)

    def narrow(self, choices: Choices, chain: Chain) -> Choices:
        sole = {
            rank: narrowest_stage(
                EVERYWHERE, [index for index, unit in enumerate(chain) if _targets(unit, rank)], chain
            )
            for rank in choices.within.ranks
        }
        return replace(choices, sole=sole)

    def baseline(self, chain: Chain) -> Updates:
        return Updates()

    def extremes(self, choices: Choices, chain: Chain) -> tuple[Updates, Updates]:
        return Updates(), Updates(choices.places[-1], max(choices.within.ranks), choices.within.scales[-1])

    def sample(self, suggest: Suggest, choices: Choices) -> Updates:
        if choices.is_empty:
            return Updates()
        where = str(
            suggest.choice("lora.where", choices.places, prior=Categorical({NOWHERE: OFF, EVERYWHERE: (1 - OFF) / 2}))
        )
        if where == NOWHERE:
            return Updates()
        rank = int(suggest.choice("lora.rank", choices.within.ranks))
        scales = choices.within.scales
        return Updates(where, rank, float(suggest.choice("lora.scale", scales)) if len(scales) > 1 else scales[0])

    def params(self, value: Updates, choices: Choices) -> Mapping[str, Scalar] | None:
        if value.where == NOWHERE:
            return {} if choices.is_empty else {"lora.where": NOWHERE}
        within, where = choices.within, value.where
        if where not in choices.places and choices.sole.get(value.rank) == where:
            where = EVERYWHERE  # which is equivalent
        if where not in choices.places or value.rank not in within.ranks or value.scale not in within.scales:
            return None
        params: dict[str, Scalar] = {"lora.where": where, "lora.rank": value.rank}
        return params | ({"lora.scale": value.scale} if len(within.scales) > 1 else {})

    def touches(self, choices: Choices, chain: Chain) -> tuple[str, ...]:
        rank = min(choices.within.ranks)
        return tuple(unit.name for unit in chain if low_rank.low_rank_targets(unit.module, rank))

    def settle(self, value: Updates, chain: Chain) -> Updates:
        places = units_at(self.name, value.where, chain)
        adapted = [index for index in places if _targets(chain.units[index], value.rank)]
        where = narrowest_stage(value.where, adapted, chain)
        return Updates() if where == NOWHERE else replace(value, where=where)

    def apply(self, chain: Chain, value: Updates) -> Chain:
        for index in units_at(self.name, value.where, chain):
            chain = _adapted(chain, index, value)
        return chain

    def meant(self, wish: Json, chain: Chain, choices: Choices | None) -> Updates | None:
        if choices is None:
            return None
        within, where = choices.within, stage_meant(wish["where"], chain)
        return Updates(where, nearest(wish["rank"], within.ranks), nearest(wish.get("scale", 1.0), within.scales))

    def words(self, value: Updates, chain: Chain) -> str:
        if value.where == NOWHERE:
            return ""
        scale = f" x {value.scale:g}" if value.scale != 1 else ""
        return f"LoRA of rank {value.rank}{scale} in {stage_words(value.where, chain)}"

    def dump(self, value: Updates) -> Json:
        return {"where": value.where, "rank": value.rank, "scale": value.scale}

    def parse(self, data: Json) -> Updates:
        value = read_fields(self.name, data, Updates)
        if not isinstance(value.where, str):
            raise CandidateError(f"candidate: lora.where must be a name, got {value.where!r}")
        if value.where == NOWHERE:
            return Updates()
        read_number("lora.rank", value.rank, whole=True, least=1)
        read_number("lora.scale", value.scale)
        return value


def _adapted(chain: Chain, place: int, value: Updates) -> Chain:
    unit = chain.units[place]
    targets = _targets(unit, value.rank)
    if not targets:
        return chain
    module, paths = low_rank.with_low_rank(unit.module, targets, value.rank, value.scale, f"{unit.name}.lora")
    edits = (*unit.edits, f"LoRA of rank {value.rank}")
    return chain.with_unit(place, replace(unit, module=module, edits=edits, extra=(*unit.extra, *paths)))


def _targets(unit: Unit, rank: int) -> tuple[tuple[str, str], ...]:
    return tuple(
        (path, name)
        for path, name in low_rank.low_rank_targets(unit.module, rank)
        if not any(path == extra or path.startswith(f"{extra}.") for extra in unit.extra)
    )


decision = LoRA()
