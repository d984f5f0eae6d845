"""What every decision is: a name, a stage, a range, the choices it has on a chain, and its edit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from spaces.candidate import Json
from spaces.chain import Chain

Scalar = str | int | float | bool | None
V = TypeVar("V")


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
