"""What every decision is: a name, a stage, a range, the choices it has on a chain, and its edit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from spaces.candidate import Json
from spaces.chain import Chain
from spaces.errors import CandidateError

Scalar = str | int | float | bool | None
V = TypeVar("V")
T = TypeVar("T")
AS_STUDY = "study"
"""Value of a recipe decision that leaves the matter to the study file's ``training`` section."""


class Stage(IntEnum):
    """When a decision is applied; decisions of one stage commute."""

    CUT = 0
    RESHAPE = 1
    INSERT = 2
    FREEZE = 3
    HEAD = 4
    RECIPE = 5


class Suggest(Protocol):
    """Where values come from: an Optuna trial, a fixed set of parameters, a random draw."""

    def integer(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Return a whole number in ``low..high``, both included."""

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number in ``low..high``, both included."""

    def choice(self, name: str, choices: Sequence[Scalar]) -> Any:
        """Return one of ``choices``; a study must always offer the same ones under one ``name``."""


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """A decision has no place on this backbone; ``reason`` is a line for people."""

    reason: str


class Decision(ABC, Generic[V]):
    """One thing that may change. A file of this room defines one and ends with ``decision = ...()``.

    Class attributes:
        name: the file's name, the key under ``space:`` in a study file and the prefix of its parameters.
        stage: when its edit is applied.
        options: a frozen dataclass with defaults for every field: the range a study file may give.
            It checks itself in ``__post_init__`` (``ValueError``, one line) and forbids unknown keys
            by ``__pydantic_config__ = {"extra": "forbid"}``.
    """

    name: ClassVar[str]
    stage: ClassVar[Stage]
    options: ClassVar[type[Any]]

    @abstractmethod
    def choices(self, chain: Chain, within: Any) -> Any | NotApplicable:
        """Return what may be chosen on ``chain`` inside the range ``within``, every choice verified on
        fake tensors, or why nothing may be chosen. The result is handed to ``sample`` as it is."""

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

    def settle(self, value: V, chain: Chain) -> V:
        """Return ``value`` as it stands on ``chain`` (already changed by earlier stages), for example
        a freeze depth no larger than the units that are left."""
        return value

    @abstractmethod
    def apply(self, chain: Chain, value: V) -> Chain:
        """Return ``chain`` with the edit made; pure. Decisions of the head and the recipe return it as it is."""

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


def check_range(name: str, low: float, high: float | None, *, least: float = 0) -> None:
    """Check a range of a study file.

    Raises:
        ValueError: it is upside down, or begins below ``least``.
    """
    if low < least:
        raise ValueError(f"{name}: low must be at least {least:g}, got {low:g}")
    if high is not None and low > high:
        raise ValueError(f"{name}: the range is empty: low {low:g} is larger than high {high:g}")


def check_choices(name: str, given: Sequence[Any], allowed: Sequence[Any] | None = None) -> None:
    """Check a list of a study file.

    Raises:
        ValueError: it is empty, has something twice, or something that is not among ``allowed``.
    """
    if not given:
        raise ValueError(f"{name}: the list is empty; name at least one")
    if len(set(given)) < len(given):
        raise ValueError(f"{name}: something stands twice in {list(given)}")
    if allowed is not None:
        for choice in given:
            if choice not in allowed:
                raise ValueError(f"{name}: expected one of {', '.join(map(str, allowed))}, got {choice!r}")


def read_number(decision: str, data: Json, *, whole: bool = False) -> Any:
    """Return ``data`` if it is a number that is no boolean.

    Raises:
        CandidateError: it is something else.
    """
    if isinstance(data, bool) or not isinstance(data, int if whole else int | float):
        kind = "a whole number" if whole else "a number"
        raise CandidateError(f"candidate: {decision} must be {kind}, got {data!r}")
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
