"""The interface of decisions: a name, a stage, a range, the choices on a chain, and the edit."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from spaces.candidate import Json
from spaces.chains import probe
from spaces.chains.chain import PRETRAINED_SIDE, Chain
from spaces.decisions._prior import Prior, mostly
from spaces.errors import ProbeError

Scalar = str | int | float | bool | None
KEEP = "keep"
"""Stands for no change."""
V = TypeVar("V")
AS_STUDY = "study"
"""Value of a recipe decision that defers to the study file's ``training`` section."""
TRAINING = "training"
"""Fact of a chain: the settings of the study file's ``training`` section, by the name of their decision."""


class Stage(IntEnum):
    """When a decision is applied; decisions of one stage commute."""

    CUT = 0
    FREEZE = 1
    """Before changes to the remaining units, which matter only where they may learn."""
    RESHAPE = 2
    INSERT = 3
    HEAD = 4
    RECIPE = 5


class Suggest(Protocol):
    """A source of values: an Optuna trial, a fixed set of parameters, a random draw.

    ``prior`` is the decision's belief about the value before a study has results; its file gives the reason.
    """

    def integer(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False, prior: Prior | None = None
    ) -> int:
        """Return an integer in ``low..high``, both included."""

    def real(self, name: str, low: float, high: float, *, log: bool = False, prior: Prior | None = None) -> float:
        """Return a number in ``low..high``, both included."""

    def choice(self, name: str, choices: Sequence[Scalar], *, prior: Prior | None = None) -> Any:
        """Return one of ``choices``; a study must always offer the same ones under one ``name``."""


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """A decision does not apply to this backbone; ``reason`` is shown to users."""

    reason: str


class Decision(ABC, Generic[V]):
    """One thing that may be changed. Each file of this package defines one and ends with ``decision = ...()``.

    Class attributes:
        name: the file's name, the key under ``space:`` in a study file and the prefix of its parameters.
        stage: when its edit is applied; decisions of a stage are ordered by ``rank``, then by name.
        options: a frozen dataclass with defaults for every field: the range a study file may give.
            It validates itself in ``__post_init__`` (``ValueError``, one line) and forbids unknown keys
            by ``__pydantic_config__ = {"extra": "forbid"}``.
        tasks: names of the tasks that have this decision (pyramid levels of detection); empty for all.
        usual: whether studies of these tasks open it if their file names no space.
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
        """Return the part of ``choices`` that matters on ``chain``, to which earlier decisions were applied.

        Parameters without effect there must not be asked for (the learning rate of a frozen backbone, for example).
        """
        return choices

    @abstractmethod
    def baseline(self, chain: Chain) -> V:
        """Return the value of the plain recipe: no change, or what a tutorial would do."""

    @abstractmethod
    def sample(self, suggest: Suggest, choices: Any) -> V:
        """Return a value drawn through ``suggest``; parameter names start with the decision's name.
        A parameter is asked for only when it matters."""

    @abstractmethod
    def params(self, value: V, choices: Any) -> Mapping[str, Scalar] | None:
        """Return the parameters with which ``sample`` returns ``value``; None if the range lacks it."""

    def extremes(self, choices: Any, chain: Chain) -> tuple[V, V]:
        """Return the values of the smallest and the largest network; the plain recipe's if size is unaffected."""
        plain = self.baseline(chain)
        return plain, plain

    def touches(self, choices: Any, chain: Chain) -> Sequence[str]:
        """Return the names of the units that a choice may change; empty if it concerns the whole network."""
        return ()

    def variants(self, choices: Any, chain: Chain) -> Sequence[V]:
        """Return every single change of the pretrained function that may be chosen, so that `plan` can measure how far
        it moves the features; empty if there is none, or nothing to compare."""
        return ()

    def keeps_function(self, value: V, chain: Chain) -> bool:
        """Return whether the network with ``value`` starts as the pretrained function (tests hold it to 1e-5)."""
        return True

    def settle(self, value: V, chain: Chain) -> V:
        """Return ``value`` in its canonical form on ``chain``, to which the decisions before this one were applied.

        Values that train the same network in the same way settle to the same one, the nearest to the plain recipe: a
        freeze depth is at most the number of remaining units; a larger kernel where nothing learns (its ring of zeros
        would stay) is no change. What settles away is not named, hashed or reported to the sampler.
        """
        return value

    def reconcile(self, values: Mapping[str, Any], chain: Chain, opened: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return values with which this decision alone expresses what it and others now express together; often none.

        Args:
            values: of all decisions, each settled.
            chain: with all values applied.
            opened: choices of the decisions that are open.
        """
        return {}

    def moot(self, values: Mapping[str, Any], chain: Chain) -> Collection[str]:
        """Return the names of decisions that have no effect given this value: they stay plain and are not asked for."""
        return ()

    @abstractmethod
    def apply(self, chain: Chain, value: V) -> Chain:
        """Return ``chain`` with the edit made; pure. Decisions about the head and the recipe return it unchanged."""

    def meant(self, wish: Json, chain: Chain, choices: Any) -> V | None:
        """Return the value that a candidate described for any backbone (a portfolio's member) has on ``chain``.

        ``wish`` is a value in JSON form; a mapping may hold only the fields that matter, places are named by meaning
        (``last`` for the last stage), and counts of units are given as shares. None if it has no meaning here.
        """
        plain = self.dump(self.baseline(chain))
        both = isinstance(wish, Mapping) and isinstance(plain, Mapping)
        return self.parse({**plain, **wish} if both else wish)

    @abstractmethod
    def words(self, value: V, chain: Chain) -> str:
        """Return the value in words for people, ``first 10 of 19 units frozen``; empty if nothing changes.
        ``chain`` is the chain this decision was applied to."""

    @abstractmethod
    def dump(self, value: V) -> Json:
        """Return ``value`` in JSON form."""

    @abstractmethod
    def parse(self, data: Json) -> V:
        """Read what ``dump`` wrote. Raises CandidateError if the data are not this decision's."""


def of_study(decision: str, chain: Chain) -> Any:
    """Return the study file's ``training`` setting for a recipe decision; None without a study."""
    recipe = chain.facts.get(TRAINING)
    return recipe.get(decision) if isinstance(recipe, Mapping) else None


def nearest(number: float, offered: Sequence[Any]) -> Any:
    """Return the number among ``offered`` that is nearest in proportion."""
    return min(offered, key=lambda known: abs(math.log(known / number)))


def sample_slots(suggest: Suggest, name: str, options: Sequence[str], slots: int, kept: float) -> tuple[str, ...]:
    """Return up to ``slots`` of ``options``, in order; each slot is asked for only if the previous one was used.

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
    """Return the parameters with which ``sample_slots`` returns ``chosen``; None if there are none."""
    if len(chosen) > slots or any(option not in options for option in chosen):
        return None
    filled = [*chosen, *[KEEP] * (len(chosen) < slots)]
    return {f"{name}.{slot}": option for slot, option in enumerate(filled, 1)}


def keeps_shape(chain: Chain, changed: Chain) -> bool:
    """Return whether every unit of ``changed`` runs and has the output shape of the same unit in ``chain``."""
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
    """Return the multiply-adds of one forward pass of one sample; None if the chain does not run."""
    try:
        return sum(facts.macs for facts in probe.describe(chain))
    except ProbeError:
        return None


def usual_multiply_adds(chain: Chain) -> int:
    """Return the multiply-adds of one forward pass at the images' size, or at that of the pretraining if it is larger.

    Larger maps of small images cost no more than the usual ones of large images, and bring objects back to the scale
    at which the weights met them (https://arxiv.org/abs/1906.06423).
    """
    side = chain.facts.get(PRETRAINED_SIDE)
    height, width = chain.input_size
    growth = max(side**2 / (height * width), 1.0) if isinstance(side, int) else 1.0
    return round(growth * (multiply_adds(chain) or 0))
