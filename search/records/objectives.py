"""The objectives of a study, and the constraints that a candidate has to satisfy; pure."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from search.records.study import Json, Objective

COSTS: dict[str, str] = {
    "parameters": "all weights and biases, head included",
    "flops": "multiply-adds times two of one forward pass of one input",
    "checkpoint_bytes": "bytes of the weights in a trial's checkpoint",
    "latency": "milliseconds of one forward pass, measured on the trial's device",
    "train_seconds": "seconds of all epochs, validation included",
}
"""Costs of a candidate by their names in a study file; each is minimised unless the file says otherwise."""
KNOWN_BEFORE = ("parameters", "flops", "checkpoint_bytes", "latency")
"""Costs that are known before a candidate is trained, by name."""
QUANTISED = "quantised"
"""The first objective of the network in int8: like a metric, it can be an objective or be bounded."""
_FORBID: dict[str, str] = {"extra": "forbid"}
_DIRECTIONS = {"maximize": True, "maximise": True, "max": True, "minimize": False, "minimise": False, "min": False}
_BOUND = re.compile(r"(<=|>=|<|>|at most|at least)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-zµ%]*)")
_LINE = re.compile(r"\s*([A-Za-z]\w*)(?!\w)\s*(.+)")
_THOUSANDS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BYTES = {"B": 1.0} | {f"{unit}B": size for unit, size in _THOUSANDS.items() if unit}
_BYTES |= {"KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_UNITS: dict[str, dict[str, float]] = {
    "parameters": _THOUSANDS,
    "flops": _THOUSANDS | {f"{unit}{end}": size for unit, size in _THOUSANDS.items() for end in ("F", "FLOPs")},
    "checkpoint_bytes": _THOUSANDS | _BYTES,
    "latency": {"": 1.0, "ms": 1.0, "s": 1e3, "us": 1e-3, "µs": 1e-3},
    "train_seconds": {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0},
}
_SHARES = {"": 1.0, "%": 0.01}


class ChoiceError(ValueError):
    """A study file's objectives or constraints are wrong; ``key`` says which."""

    def __init__(self, key: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveOptions:
    """One of several objectives: a metric of the task, or a cost.

    Attributes:
        direction: ``maximize`` or ``minimize``; a metric's own by default, costs are minimised.
    """

    name: str
    direction: str | None = None
    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID

    def __post_init__(self) -> None:
        if self.direction is not None and self.direction not in _DIRECTIONS:
            right = "int8" if self.name == QUANTISED else "maximize or minimize"
            raise ValueError(f"{self.name}: expected {right}, got {self.direction!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyOptions:
    """How the latency of a candidate is measured, on the device that trains it.

    Attributes:
        batch: images per forward pass.
        warmup: passes before the first measured one.
        runs: passes whose median is taken.
    """

    batch: int = 1
    warmup: int = 5
    runs: int = 30
    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID

    def __post_init__(self) -> None:
        for name, least in (("batch", 1), ("warmup", 0), ("runs", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: must be at least {least}, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantisedOptions:
    """How a trained network is quantised (``search.model.int8``) before the first objective is measured again.

    Attributes:
        dtype: of the weights.
        images: training images used to calibrate the ranges of activations.
    """

    dtype: Literal["int8"] = "int8"
    images: int = 128
    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID

    def __post_init__(self) -> None:
        if self.images < 1:
            raise ValueError(f"images: must be at least 1, got {self.images}")


@dataclass(frozen=True, slots=True)
class Constraint:
    """A bound that a candidate has to satisfy.

    Attributes:
        name: the metric or cost it bounds.
        upper: whether ``bound`` is the largest value allowed, else it is the smallest.
        strict: whether the bound itself is excluded.
        text: as in the study file, ``< 3M``.
    """

    name: str
    upper: bool
    strict: bool
    bound: float
    text: str

    def excess(self, value: float) -> float:
        """Return by which share of the bound ``value`` breaks it; at most 0 if satisfied, as Optuna defines it."""
        scale = abs(self.bound) or 1.0
        over = ((value - self.bound) if self.upper else (self.bound - value)) / scale
        return 1e-9 if self.strict and over == 0 else over

    def __str__(self) -> str:
        return f"{self.name} {self.text}"


@dataclass(frozen=True, slots=True)
class Constraints:
    """All constraints of a study."""

    bounds: tuple[Constraint, ...] = ()

    def excesses(self, facts: Mapping[str, float]) -> dict[str, float]:
        """Return the excess of every constraint whose quantity is in ``facts``, by its text.

        NaN breaks a constraint by its whole bound.
        """
        excess = {}
        for one in self.bounds:
            if one.name in facts:
                value = facts[one.name]
                excess[str(one)] = one.excess(value) if math.isfinite(value) else 1.0
        return excess

    def names(self) -> frozenset[str]:
        """Return the names of the bounded quantities."""
        return frozenset(one.name for one in self.bounds)

    def to_json(self) -> Json:
        """Return them as in a study file; None without constraints."""
        texts: dict[str, list[str]] = {}
        for one in self.bounds:
            texts.setdefault(one.name, []).append(one.text)
        return texts or None


@dataclass(frozen=True, slots=True)
class Goals:
    """The goals of a study: its first objective, further ones, and constraints.

    Attributes:
        objectives: the first one is the primary metric: a metric of the task, used for pruning and ranking.
        latency: how latency is measured; None if it is not needed.
        quantised: how networks are quantised; None if they need not be.
    """

    objectives: tuple[Objective, ...]
    constraints: Constraints = field(default_factory=Constraints)
    latency: LatencyOptions | None = None
    quantised: QuantisedOptions | None = None

    @property
    def further(self) -> tuple[Objective, ...]:
        return self.objectives[1:]

    @property
    def is_single(self) -> bool:
        """Whether there is a single objective and no constraint."""
        return not self.further and not self.constraints.bounds

    def weighs(self, name: str) -> bool:
        """Return whether ``name`` is an objective or has a bound."""
        return name in self.constraints.names() or any(one.name == name for one in self.objectives)

    def to_json(self) -> dict[str, Json]:
        """Return the keys of a study file; None for those that it leaves out."""
        several = [
            {"name": one.name, "direction": "maximize" if one.maximize else "minimize"} for one in self.objectives
        ]
        how, form = self.latency, self.quantised
        return {
            "objectives": several if self.further else None,
            "constraints": self.constraints.to_json(),
            "latency": None if how is None else {"batch": how.batch, "warmup": how.warmup, "runs": how.runs},
            QUANTISED: None if form is None else {"dtype": form.dtype, "images": form.images},
        }


def written_out(given: str | list[Json]) -> list[Json]:
    """Return a study file's objectives with their short forms expanded.

    ``accuracy``, ``{accuracy: maximize}``, and ``{quantised: int8}`` for ``quantised``.
    """
    entries: list[Json] = []
    for one in [given] if isinstance(given, str) else given:
        if isinstance(one, str) or one == {QUANTISED: "int8"}:
            entries.append({"name": one if isinstance(one, str) else QUANTISED})
        elif isinstance(one, Mapping) and _is_short(one):
            ((name, direction),) = one.items()
            entries.append({"name": name, "direction": direction})
        else:
            entries.append(one)
    return entries


def _is_short(one: Mapping[str, Json]) -> bool:
    """Return whether ``one`` is a name with its direction, perhaps misspelt, and not a key ``name`` that is."""
    (name, direction), *more = one.items() if one else [("name", None)]
    if more or name == "name" or not isinstance(direction, str):
        return False
    return name in (*COSTS, QUANTISED) or bool(difflib.get_close_matches(direction, _DIRECTIONS, 1))


def goals(
    objective: str | None,
    objectives: Sequence[ObjectiveOptions] | None,
    constraints: Json,
    latency: LatencyOptions | None,
    directions: Mapping[str, bool],
    quantised: QuantisedOptions | None = None,
    refusal: str = "",
) -> Goals:
    """Return the goals that a study file states.

    Args:
        objective: the single objective's name; the first of ``objectives`` if both are given.
        constraints: quantity -> bound or bounds, or a list of ``parameters < 3M``; None for none.
        directions: metrics of the task -> whether larger is better, the default objective first.
        quantised: makes ``quantised`` the last objective, unless it already is one or bounded.
        refusal: why networks of this task cannot be quantised; empty if they can.

    Raises:
        ChoiceError: a name is unknown, given twice or contradictory, or a bound is malformed.
    """
    first = objective or (objectives[0].name if objectives else next(iter(directions)))
    if objective is not None and objective not in directions:
        raise ChoiceError(("objective",), f"expected one of {', '.join(directions)}, got {objective!r}")
    wanted = list(objectives) if objectives is not None else [ObjectiveOptions(name=first)]
    if not wanted:
        raise ChoiceError(("objectives",), "the list is empty; name at least one, or leave the key out")
    if objective is not None and wanted[0].name != objective:
        raise ChoiceError(
            ("objective",), f"{objective!r} is not the first of objectives; leave out objective or put it first there"
        )
    bounds = read_constraints(constraints, (*directions, *COSTS, QUANTISED))
    if quantised is not None and QUANTISED not in {*bounds.names(), *(one.name for one in wanted)}:
        wanted.append(ObjectiveOptions(name=QUANTISED))
    goals = tuple(_objective(index, one, directions, first) for index, one in enumerate(wanted))
    names = [one.name for one in goals]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ChoiceError(("objectives", str(index)), f"{name!r} is given twice")
    made = Goals(goals, bounds, latency, quantised)
    if refusal and made.weighs(QUANTISED):
        listed = ("objectives", str(names.index(QUANTISED))) if QUANTISED in names else ("constraints", QUANTISED)
        raise ChoiceError((QUANTISED,) if quantised is not None else listed, refusal)
    return replace(
        made,
        latency=latency or (LatencyOptions() if made.weighs("latency") else None),
        quantised=quantised or (QuantisedOptions() if made.weighs(QUANTISED) else None),
    )


def _objective(place: int, wanted: ObjectiveOptions, directions: Mapping[str, bool], first: str) -> Objective:
    key, name = ("objectives", str(place)), wanted.name
    known = {**directions, **dict.fromkeys(COSTS, False), QUANTISED: directions.get(first, True)}
    if name not in known:
        raise ChoiceError(key, f"expected one of {', '.join(known)}, got {name!r}")
    if place == 0 and name not in directions:
        raise ChoiceError(
            key,
            f"the first objective picks each trial's best epoch and is what weak trials are pruned by, so it must be "
            f"a metric of the task ({', '.join(directions)}), got {name!r}; put it after one",
        )
    maximize = known[name] if wanted.direction is None else _DIRECTIONS[wanted.direction]
    if (name in directions or name == QUANTISED) and maximize is not known[name]:
        right = "maximize" if known[name] else "minimize"
        raise ChoiceError(key, f"the direction of {name} is {right}, got {wanted.direction!r}; leave it out")
    return Objective(name, maximize)


def read_constraints(given: Json, known: Sequence[str]) -> Constraints:
    """Return the constraints of a study file.

    Raises:
        ChoiceError: unknown quantity, malformed bound, or bounds that exclude each other.
    """
    if given is None:
        return Constraints()
    return Constraints(_checked([_bound(key, name, text, known) for key, name, text in _stated(given)]))


def _stated(given: Json) -> Iterable[tuple[tuple[str, ...], str, Json]]:
    """Yield the key of each constraint, what it bounds, and the bound."""
    if isinstance(given, Mapping):
        for name, bounds in given.items():
            for text in bounds if isinstance(bounds, list) else [bounds]:
                yield ("constraints", str(name)), str(name), text
        return
    if not isinstance(given, list):
        raise ChoiceError(("constraints",), f"expected bounds such as 'parameters: < 3M', got {given!r}")
    for index, line in enumerate(given):
        key = ("constraints", str(index))
        if isinstance(line, Mapping) and len(line) == 1:
            ((name, text),) = line.items()
            yield key, str(name), text
        elif isinstance(line, str) and (match := _LINE.fullmatch(line)):
            yield key, match[1], match[2]
        else:
            raise ChoiceError(key, f"expected a bound such as 'parameters < 3M', got {line!r}")


def _bound(key: tuple[str, ...], name: str, text: Json, known: Sequence[str]) -> tuple[tuple[str, ...], Constraint]:
    if name not in known:
        raise ChoiceError(key, f"nothing of that name can be bounded; expected one of {', '.join(known)}, got {name!r}")
    match = _BOUND.fullmatch(text.strip()) if isinstance(text, str) else None
    units = _UNITS.get(name, _SHARES)
    if match is None:
        example = {"latency": "< 5ms", "train_seconds": "< 10m", "parameters": "< 3M", "flops": "< 1G"}
        shown = example.get(name, "< 10MB" if name in COSTS else "at least 0.9")
        raise ChoiceError(key, f"expected a bound such as '{shown}' (<, <=, >, >=, at most, at least), got {text!r}")
    sense, number, unit = match.groups()
    if unit not in units:
        raise ChoiceError(
            key, f"unknown unit {unit!r} in {text!r}; {name} takes {', '.join(filter(None, units))} or none"
        )
    upper = sense in ("<", "<=", "at most")
    bound = float(number) * units[unit]
    if name in COSTS and upper and (bound <= 0):
        raise ChoiceError(key, f"no candidate can have {name} {text.strip()}; give a bound above 0")
    return key, Constraint(name, upper, sense in ("<", ">"), bound, " ".join(text.split()))


def _checked(constraints: Sequence[tuple[tuple[str, ...], Constraint]]) -> tuple[Constraint, ...]:
    """Return the constraints, each once; bounds that exclude each other are an error."""
    kept: dict[str, Constraint] = {}
    for key, one in constraints:
        for other in kept.values():
            if one.name == other.name and one.upper is not other.upper:
                high, low = (one, other) if one.upper else (other, one)
                if high.bound < low.bound or (high.bound == low.bound and (high.strict or low.strict)):
                    raise ChoiceError(key, f"{low.text} and {high.text} exclude each other")
        kept.setdefault(str(one), one)
    return tuple(kept.values())


Pruning = Literal["primary", "pareto_safe"]
"""``primary``: the pruner alone decides; ``pareto_safe``: only if the trial is off the front, too."""
