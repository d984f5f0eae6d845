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
"""In place of a change: none."""
V = TypeVar("V")
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
    """A decision does not apply to this backbone; ``reason`` is shown to users."""

    reason: str


class Decision(ABC, Generic[V]):
    """One thing that may be changed. A file of this room defines one and ends with ``decision = ...()``.

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


def nearest(number: float, offered: Sequence[Any]) -> Any:
    """Return that of the numbers ``offered`` that comes nearest, in proportion."""
    return min(offered, key=lambda known: abs(math.log(known / number)))


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


def usual_multiply_adds(chain: Chain) -> int:
    """Return the multiply-adds of one forward pass at the images' size, or at that of the pretraining if it is larger.

    Larger maps of small images cost no more than the usual ones of large images, and bring objects back to the scale
    at which the weights met them (https://arxiv.org/abs/1906.06423).
    """
    side = chain.facts.get(PRETRAINED_SIDE)
    height, width = chain.input_size
    growth = max(side**2 / (height * width), 1.0) if isinstance(side, int) else 1.0
    return round(growth * (multiply_adds(chain) or 0))
