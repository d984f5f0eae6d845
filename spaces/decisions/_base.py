"""What every decision is: a name, a stage, a range, the choices it has on a chain, and its edit."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from itertools import pairwise
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from spaces.candidate import Json
from spaces.chains import probe
from spaces.chains.chain import Chain
from spaces.decisions._prior import Prior, mostly
from spaces.errors import CandidateError, ProbeError

Scalar = str | int | float | bool | None
KEEP = "keep"
"""In place of a change: none."""
NOWHERE, EVERYWHERE = "none", "all"
"""In place of a stage's name: no unit, and every unit."""
LAST, LAST_TWO = "last", "last_two"
"""In place of a stage's name where no backbone is known: its last one, its last two."""
_BLOCKS, _FEWEST_STAGES = 4, 3
V = TypeVar("V")
T = TypeVar("T")
AS_STUDY = "study"
"""Value of a recipe decision that leaves the matter to the study file's ``training`` section."""
TRAINING = "training"
"""Fact of a chain: what the study file's ``training`` section says, by the name of the decision it stands for."""


class Stage(IntEnum):
    """When a decision is applied; decisions of one stage commute."""

    CUT = 0
    FREEZE = 1
    """Before the changes of what is left: they matter only where they may learn."""
    RESHAPE = 2
    INSERT = 3
    HEAD = 4
    RECIPE = 5


class Suggest(Protocol):
    """Where values come from: an Optuna trial, a fixed set of parameters, a random draw.

    ``prior`` is what the decision believes of the value before a study has results, with its reason in its file.
    """

    def integer(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False, prior: Prior | None = None
    ) -> int:
        """Return a whole number in ``low..high``, both included."""

    def real(self, name: str, low: float, high: float, *, log: bool = False, prior: Prior | None = None) -> float:
        """Return a number in ``low..high``, both included."""

    def choice(self, name: str, choices: Sequence[Scalar], *, prior: Prior | None = None) -> Any:
        """Return one of ``choices``; a study must always offer the same ones under one ``name``."""


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """A decision has no place on this backbone; ``reason`` is a line for people."""

    reason: str


class Decision(ABC, Generic[V]):
    """One thing that may change. A file of this room defines one and ends with ``decision = ...()``.

    Class attributes:
        name: the file's name, the key under ``space:`` in a study file and the prefix of its parameters.
        stage: when its edit is applied; ``rank`` orders the decisions of a stage, those of equal rank go by name.
        options: a frozen dataclass with defaults for every field: the range a study file may give.
            It checks itself in ``__post_init__`` (``ValueError``, one line) and forbids unknown keys
            by ``__pydantic_config__ = {"extra": "forbid"}``.
        tasks: names of the tasks that have this decision (pyramid levels of detection); empty for all.
        usual: whether studies of these tasks open it where their file names no space.
    """

    name: ClassVar[str]
    stage: ClassVar[Stage]
    rank: ClassVar[int] = 0
    options: ClassVar[type[Any]]
    tasks: ClassVar[tuple[str, ...]] = ()
    usual: ClassVar[bool] = True

    @abstractmethod
    def choices(self, chain: Chain, within: Any) -> Any | NotApplicable:
        """Return what may be chosen on ``chain`` inside the range ``within``, every choice verified on
        fake tensors, or why nothing may be chosen. The result is handed to ``sample`` as it is."""

    def narrow(self, choices: Any, chain: Chain) -> Any:
        """Return what of ``choices`` matters on ``chain``, to which the decisions before this one were applied.

        A parameter that has no effect there shall not be asked for (no learning rate of a frozen backbone).
        """
        return choices

    @abstractmethod
    def baseline(self, chain: Chain) -> V:
        """Return the value of the plain recipe: nothing changed, or what a tutorial would do."""

    @abstractmethod
    def sample(self, suggest: Suggest, choices: Any) -> V:
        """Return a value drawn through ``suggest``; parameter names start with the decision's name.
        A parameter is asked for only when it matters."""

    @abstractmethod
    def params(self, value: V, choices: Any) -> Mapping[str, Scalar] | None:
        """Return the parameters with which ``sample`` gives ``value``; None if the range lacks it."""

    def extremes(self, choices: Any, chain: Chain) -> tuple[V, V]:
        """Return the values of the smallest and the largest network; the plain recipe's where it does not matter."""
        plain = self.baseline(chain)
        return plain, plain

    def touches(self, choices: Any, chain: Chain) -> Sequence[str]:
        """Return the names of the units that a choice may change; empty for what concerns the whole network."""
        return ()

    def variants(self, choices: Any, chain: Chain) -> Sequence[V]:
        """Return every single change of the pretrained function that may be chosen, for `plan` to measure how far
        it moves the features; empty where there is none, or nothing to compare."""
        return ()

    def keeps_function(self, value: V, chain: Chain) -> bool:
        """Return whether the network with ``value`` starts as the pretrained function (tests hold it to 1e-5)."""
        return True

    def settle(self, value: V, chain: Chain) -> V:
        """Return ``value`` as it stands on ``chain``, to which the decisions before this one were applied.

        Two values with which the same network is trained in the same way settle to the same one, the nearest to the
        plain recipe: a freeze depth is no larger than the units that are left, a larger kernel where nothing learns
        (its ring of zeros would stay) is no change. What settles away is not named, hashed or reported to the sampler.
        """
        return value

    def reconcile(self, values: Mapping[str, Any], chain: Chain, opened: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values by which this decision says alone what it and others now say together; often none.

        Args:
            values: of all decisions, each settled.
            chain: with all of them applied.
            opened: choices of the decisions that are open.
        """
        return {}

    def moot(self, values: Mapping[str, Any], chain: Chain) -> Collection[str]:
        """Return the names of decisions that have no effect at all beside this value: plain, and not asked for."""
        return ()

    @abstractmethod
    def apply(self, chain: Chain, value: V) -> Chain:
        """Return ``chain`` with the edit made; pure. Decisions of the head and the recipe return it as it is."""

    def meant(self, wish: Json, chain: Chain, choices: Any) -> V | None:
        """Return the value that a candidate described for any backbone (a portfolio's member) has on ``chain``.

        ``wish`` is a value in JSON form, of a mapping only what it cares about, in words of meaning where a place is
        named (``last`` for the last stage) and in shares where units are counted. None where it means nothing here.
        """
        plain = self.dump(self.baseline(chain))
        both = isinstance(wish, Mapping) and isinstance(plain, Mapping)
        return self.parse({**plain, **wish} if both else wish)

    @abstractmethod
    def words(self, value: V, chain: Chain) -> str:
        """Return the value in words for people, ``first 10 of 19 units frozen``; empty when nothing changes.
        ``chain`` is the chain this decision was applied to."""

    @abstractmethod
    def dump(self, value: V) -> Json:
        """Return ``value`` in JSON form."""

    @abstractmethod
    def parse(self, data: Json) -> V:
        """Read what ``dump`` wrote. Raises CandidateError when the data is not of this decision."""


def of_study(decision: str, chain: Chain) -> Any:
    """Return what the study file's ``training`` section says of a recipe decision; None where there is no study."""
    recipe = chain.facts.get(TRAINING)
    return recipe.get(decision) if isinstance(recipe, Mapping) else None


def with_stages(chain: Chain) -> Chain:
    """Return ``chain`` remembering its stages, so that they keep their names whatever is edited later."""
    return replace(chain, facts={**chain.facts, "stages": stages(chain)})


def stages(chain: Chain) -> Mapping[str, tuple[str, ...]]:
    """Return the units of every stage by the stage's name, which is its first unit's.

    A stage begins where the feature maps become smaller. Networks without such places (vision transformers) are
    parted into four blocks of consecutive units instead.
    """
    known = chain.facts.get("stages")
    if isinstance(known, Mapping):
        return known
    groups: list[list[str]] = []
    reduction = 0
    for unit in probe.describe(chain):
        if not groups or unit.reduction != reduction:
            groups.append([])
        groups[-1].append(unit.name)
        reduction = unit.reduction
    if len(groups) < _FEWEST_STAGES and len(chain) >= 2 * _BLOCKS:
        names = [unit.name for unit in chain]
        cuts = [round(len(names) * part / _BLOCKS) for part in range(_BLOCKS + 1)]
        groups = [names[start:end] for start, end in pairwise(cuts)]
    return {names[0]: tuple(names) for names in groups}


def units_at(decision: str, where: str, chain: Chain) -> list[int]:
    """Return the places in ``chain`` of the units meant by ``where``: a stage's name, ``all`` or ``none``.

    Raises:
        CandidateError: no such stage.
    """
    if where == EVERYWHERE:
        return list(range(len(chain)))
    if where == NOWHERE:
        return []
    members = stages(chain)
    if where not in members:
        raise CandidateError(
            f"candidate: {decision}: no stage {where!r} in this backbone; stages: {', '.join(members)}"
        )
    return [index for index, unit in enumerate(chain.units) if unit.name in members[where]]


def narrowest(where: str, places: Sequence[int], chain: Chain) -> str:
    """Return the stage that holds all of ``places``, or ``none`` where there are none; else ``where``."""
    if not places:
        return NOWHERE
    names = {chain.units[place].name for place in places}
    return next((stage for stage, members in stages(chain).items() if names <= set(members)), where)


def place_meant(where: str, chain: Chain) -> str:
    """Return the stage that ``last`` or ``last_two`` (the first of them) stands for; other places as they are."""
    names = list(stages(chain))
    return {LAST: names[-1], LAST_TWO: names[-2:][0]}.get(where, where)


def nearest(number: float, offered: Sequence[Any]) -> Any:
    """Return that of the numbers ``offered`` that comes nearest, in proportion."""
    return min(offered, key=lambda known: abs(math.log(known / number)))


def place_words(where: str, chain: Chain) -> str:
    """Return ``where`` for people: ``all units``, ``features.14`` or ``features.14 to features.16``."""
    if where == EVERYWHERE:
        return "all units"
    units = stages(chain).get(where, (where,))
    return units[0] if len(units) == 1 else f"{units[0]} to {units[-1]}"


def sample_slots(suggest: Suggest, name: str, options: Sequence[str], slots: int, kept: float) -> tuple[str, ...]:
    """Return up to ``slots`` of ``options``, in their order; each slot is asked for only while the last was used.

    ``kept``: prior probability of no (further) change.
    """
    chosen: set[str] = set()
    for slot in range(1, slots + 1):
        option = str(suggest.choice(f"{name}.{slot}", (KEEP, *options), prior=mostly(KEEP, kept)))
        if option == KEEP:
            break
        chosen.add(option)
    return tuple(option for option in options if option in chosen)


def slot_params(name: str, chosen: Sequence[str], options: Sequence[str], slots: int) -> dict[str, Scalar] | None:
    """Return the parameters with which ``sample_slots`` gives ``chosen``; None when it cannot."""
    if len(chosen) > slots or any(option not in options for option in chosen):
        return None
    filled = [*chosen, *[KEEP] * (len(chosen) < slots)]
    return {f"{name}.{slot}": option for slot, option in enumerate(filled, 1)}


def keeps_shape(chain: Chain, changed: Chain) -> bool:
    """Return whether every unit of ``changed`` runs and gives the shape that ``chain``'s gives, unit by unit."""
    shape = chain.input_shape
    for old, new in zip(chain, changed, strict=True):
        after = probe.run(old.module, shape).out_shape
        if new is not old:
            try:
                if probe.run(new.module, shape).out_shape != after:
                    return False
            except ProbeError:
                return False
        shape = after
    return True


def multiply_adds(chain: Chain) -> int | None:
    """Return the multiply-adds of one forward pass of one sample; None when the chain does not run."""
    try:
        return sum(facts.macs for facts in probe.describe(chain))
    except ProbeError:
        return None


def check_range(name: str, low: float, high: float | None, *, least: float = 0) -> None:
    """Check a range of a study file.

    Raises:
        ValueError: it is upside down, or begins below ``least``.
    """
    if not all(math.isfinite(end) for end in (low, 0 if high is None else high)):
        raise ValueError(f"{name}: must be finite numbers, got {low:g} to {'the end' if high is None else f'{high:g}'}")
    if low < least:
        raise ValueError(f"{name}: low must be at least {least:g}, got {low:g}")
    if high is not None and low > high:
        raise ValueError(f"{name}: the range is empty: low {low:g} is larger than high {high:g}")


def check_number(name: str, given: float, low: float, high: float | None = None) -> None:
    """Check a number of a study file.

    Raises:
        ValueError: it is not finite, or outside ``low..high``.
    """
    if not math.isfinite(given) or given < low or (high is not None and given > high):
        wanted = f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
        raise ValueError(f"{name}: must be {wanted}, got {given:g}")


def check_choices(name: str, given: Sequence[Any], allowed: Sequence[Any] | None = None) -> None:
    """Check a list of a study file.

    Raises:
        ValueError: it is empty, has something twice, or something that is not among ``allowed``.
    """
    if not given:
        raise ValueError(f"{name}: the list is empty; name at least one")
    if len(set(given)) < len(given):
        raise ValueError(f"{name}: there is a duplicate in {list(given)}")
    if allowed is not None:
        for choice in given:
            if choice not in allowed:
                raise ValueError(f"{name}: expected one of {', '.join(map(str, allowed))}, got {choice!r}")


def read_number(decision: str, data: Json, *, whole: bool = False, least: float = 0, most: float | None = None) -> Any:
    """Return ``data`` if it is a finite number in ``least..most`` that is no boolean.

    Raises:
        CandidateError: it is something else.
    """
    is_number = isinstance(data, int if whole else int | float) and not isinstance(data, bool)
    if not is_number or not math.isfinite(data) or data < least or (most is not None and data > most):
        kind = "a whole number" if whole else "a number"
        bounds = f"of at least {least:g}" if most is None else f"from {least:g} to {most:g}"
        raise CandidateError(f"candidate: {decision} must be {kind} {bounds}, got {data!r}")
    return data


def rounded(number: float, low: float, high: float) -> float:
    """Return ``number`` to four digits, inside ``low..high``: what people read is exactly what is trained."""
    return min(max(float(f"{number:.4g}"), low), high)


def read_names(decision: str, data: Json) -> tuple[str, ...]:
    """Return a list of names as a tuple.

    Raises:
        CandidateError: it is something else.
    """
    is_list = isinstance(data, list | tuple) and all(isinstance(name, str) for name in data)
    if not is_list or len(set(data)) < len(data):
        raise CandidateError(f"candidate: {decision} must be a list of different names, got {data!r}")
    return tuple(data)


def read_choice(decision: str, data: Json, allowed: Sequence[Scalar]) -> Any:
    """Return ``data`` if it is one of ``allowed``, of the same type.

    Raises:
        CandidateError: it is not.
    """
    if not any(type(data) is type(choice) and data == choice for choice in allowed):
        raise CandidateError(f"candidate: {decision} must be one of {', '.join(map(str, allowed))}, got {data!r}")
    return data


def read_fields(decision: str, data: Json, kind: type[T]) -> T:
    """Return the frozen dataclass ``kind`` made from a mapping with exactly its fields; lists become tuples.

    Raises:
        CandidateError: ``data`` is no mapping, or its keys are not those of ``kind``.
    """
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # every caller gives a dataclass
    if not isinstance(data, Mapping) or set(data) != set(names):
        raise CandidateError(f"candidate: {decision} must have the keys {', '.join(names)}, got {data!r}")
    return kind(**{name: _tupled(value) for name, value in data.items()})


def _tupled(value: Json) -> Any:
    return tuple(_tupled(part) for part in value) if isinstance(value, list | tuple) else value
