"""A candidate described unit by unit, and the differences between two candidates. Loads no weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from spaces import backbones
from spaces.candidate import Candidate
from spaces.chains import probe
from spaces.chains.chain import Chain, Trainable, Unit
from spaces.chains.probe import UnitFacts
from spaces.networks.build import unit_state
from spaces.networks.space import Space

ABSENT = "–"
_LEARNING = {Trainable.ALL: "trained", Trainable.NORM: "norms trained", Trainable.BIAS: "biases trained"}


@dataclass(frozen=True, slots=True)
class UnitDescription:
    """One unit of a candidate.

    Attributes:
        words: its state and edits: ``frozen``, ``trained, 5x5 kernel``, ``dropped``.
        out_shape: of its features, without the batch; empty for a missing unit.
    """

    name: str
    words: str
    out_shape: tuple[int, ...] = ()
    parameters: int = 0
    macs: int = 0

    @property
    def text(self) -> str:
        """Words and the output's shape."""
        shape = "x".join(str(side) for side in self.out_shape)
        return f"{self.words}, {shape} out" if shape else self.words


@dataclass(frozen=True, slots=True)
class CandidateDescription:
    """A candidate, described.

    Attributes:
        decisions: decision name -> its words; empty if it changes nothing.
        units: of the pretrained chain in order, including dropped ones, without the head.
    """

    label: str
    weights: str
    input_size: tuple[int, int]
    decisions: Mapping[str, str]
    units: tuple[UnitDescription, ...]

    @property
    def parameters(self) -> int:
        return sum(unit.parameters for unit in self.units)

    @property
    def macs(self) -> int:
        return sum(unit.macs for unit in self.units)


@dataclass(frozen=True, slots=True)
class Row:
    """Neighbouring units that two candidates treat alike, or a single one that they do not.

    Attributes:
        units: their names.
        first, second: the candidates' treatment; of several units, that of the first.
    """

    units: tuple[str, ...]
    first: str
    second: str

    @property
    def is_same(self) -> bool:
        return self.first == self.second


def described(candidate: Candidate, base_size: tuple[int, int] | None = None) -> CandidateDescription:
    """Return the description of ``candidate``.

    Args:
        base_size: the input size of its study, from which its decisions start; its own by default.

    Raises:
        BackboneError, CandidateError, ProbeError: its backbone or a decision is unknown here, or they do not fit.
    """
    structure = candidate.structure
    backbone = backbones.resolve(structure.backbone)
    space = Space(backbone.outline(base_size or structure.input_size, structure.weights), {})
    chain = space.pretrained.chain
    changed = space.apply(candidate)
    facts = {unit.name: unit for unit in probe.describe(changed)}
    units = {unit.name: unit for unit in changed}
    parts = [_unit_description(changed, unit.name, units.get(unit.name), facts.get(unit.name)) for unit in chain]
    return CandidateDescription(
        backbone.label, structure.weights, structure.input_size, space.words_of(candidate), tuple(parts)
    )


def _unit_description(chain: Chain, name: str, unit: Unit | None, facts: UnitFacts | None) -> UnitDescription:
    if unit is None or facts is None:
        return UnitDescription(name, "dropped")
    shape = probe.features_shape(chain, facts.out_shape)
    if unit_state(unit) == "skipped":
        return UnitDescription(name, "skipped", shape)
    learning = "frozen" if unit.is_frozen else _LEARNING.get(unit.trainable, "frozen but for additions")
    words = ", ".join((learning, *unit.edits))
    return UnitDescription(name, words, shape, facts.parameters, facts.macs)


def decisions_apart(first: CandidateDescription, second: CandidateDescription) -> list[tuple[str, str, str]]:
    """Return the decisions that differ: their names, and each candidate's value."""
    names = dict.fromkeys((*first.decisions, *second.decisions))
    pairs = ((name, first.decisions.get(name, ""), second.decisions.get(name, "")) for name in names)
    return [(name, one or ABSENT, other or ABSENT) for name, one, other in pairs if one != other]


def units_apart(first: CandidateDescription, second: CandidateDescription, *, gather: bool = True) -> list[Row]:
    """Return all units in order, with neighbours that both treat alike gathered into one row.

    Units of different backbones are matched by name; those without a match are listed alone.
    """
    rows: list[Row] = []
    for name, one, other in _beside(first, second):
        last = rows[-1] if rows else None
        if gather and last and last.is_same and one == other:
            rows[-1] = Row((*last.units, name), last.first, last.second)
        else:
            rows.append(Row((name,), one, other))
    return rows


def _beside(first: CandidateDescription, second: CandidateDescription) -> Iterator[tuple[str, str, str]]:
    ones, others = ({unit.name: unit.text for unit in description.units} for description in (first, second))
    for name in dict.fromkeys((*ones, *others)):
        yield name, ones.get(name, ABSENT), others.get(name, ABSENT)
