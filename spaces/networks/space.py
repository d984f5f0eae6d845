"""A study's space: decisions on a chain, and candidates drawn from them."""

from __future__ import annotations

import json
import random
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from spaces.backbones._base import NO_WEIGHTS, Pretrained
from spaces.candidate import Candidate, Recipe, Structure, short
from spaces.chains import probe
from spaces.chains.chain import Chain
from spaces.decisions import registry
from spaces.decisions._base import TRAINING, Decision, NotApplicable, Scalar, Stage, Suggest
from spaces.decisions._prior import Prior
from spaces.decisions._stages import with_stages
from spaces.errors import CandidateError, ProbeError, RangeError

_DRAWS = 64
_EDITS = (Stage.CUT, Stage.RESHAPE, Stage.INSERT)
"""Stages whose edits may fail to run together."""
_REMEMBERED = 32
"""Number of edited chains that a space caches: a candidate's are used several times, and each edit costs a probe."""


class StoredParameters:
    """Returns stored parameters."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params

    def integer(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False, prior: Prior | None = None
    ) -> int:
        return int(self._get(name))

    def real(self, name: str, low: float, high: float, *, log: bool = False, prior: Prior | None = None) -> float:
        return float(self._get(name))

    def choice(self, name: str, choices: Sequence[Any], *, prior: Prior | None = None) -> Any:
        return self._get(name)

    def _get(self, name: str) -> Any:
        if name not in self._params:
            raise CandidateError(f"no value for the parameter {name!r}; there are {', '.join(sorted(self._params))}")
        return self._params[name]


class Random:
    """Draws uniformly, for tests and for pictures of a space."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def integer(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False, prior: Prior | None = None
    ) -> int:
        return self._random.randrange(low, high + 1, step)

    def real(self, name: str, low: float, high: float, *, log: bool = False, prior: Prior | None = None) -> float:
        if log:
            return float(low * (high / low) ** self._random.random())
        return self._random.uniform(low, high)

    def choice(self, name: str, choices: Sequence[Any], *, prior: Prior | None = None) -> Any:
        return self._random.choice(list(choices))


class Recorder(Random):
    """Draws at random and records the ranges, to show a space."""

    def __init__(self, seed: int, seen: dict[str, str]) -> None:
        super().__init__(seed)
        self._seen = seen

    def integer(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False, prior: Prior | None = None
    ) -> int:
        self._seen.setdefault(name, f"{low} to {high}")
        return super().integer(name, low, high, step=step, log=log)

    def real(self, name: str, low: float, high: float, *, log: bool = False, prior: Prior | None = None) -> float:
        self._seen.setdefault(name, f"{short(low)} to {short(high)}{' (log scale)' if log else ''}")
        return super().real(name, low, high, log=log)

    def choice(self, name: str, choices: Sequence[Any], *, prior: Prior | None = None) -> Any:
        self._seen.setdefault(name, ", ".join(str(choice) for choice in choices))
        return super().choice(name, choices)


class Space:
    """The decisions of a study on one pretrained chain.

    Attributes:
        choices: decision name -> its choices, for every decision that is open.
        dropped: decision name -> why it does not apply to this backbone.
        decisions: every decision of the task, by name.
    """

    def __init__(
        self,
        pretrained: Pretrained,
        ranges: Mapping[str, Any],
        task: str | None = None,
        training: Mapping[str, Scalar] | None = None,
    ) -> None:
        """Open the decisions named in ``ranges``; the others of the ``task`` keep the plain recipe's value.

        ``training`` holds the study file's values of recipe decisions, by name: choosing the same value is no change.

        Raises:
            RangeError: a range asks for more than the backbone has, or names no decision.
        """
        self.decisions = registry(task)
        unknown = [name for name in ranges if name not in self.decisions]
        if unknown:
            raise RangeError(f"unknown decision {unknown[0]!r}; known: {', '.join(self.decisions)}")
        self.pretrained = pretrained
        chain = with_stages(pretrained.chain)
        self.chain = replace(chain, facts={**chain.facts, TRAINING: dict(training or {})})
        self.choices: dict[str, Any] = {}
        self.dropped: dict[str, str] = {}
        self._edited: OrderedDict[tuple[Chain, str, str], Chain] = OrderedDict()
        for name, decision in self.decisions.items():
            if name in ranges:
                choices = decision.choices(self.chain, ranges[name])
                if isinstance(choices, NotApplicable):
                    self.dropped[name] = choices.reason
                else:
                    self.choices[name] = choices

    def sample(self, suggest: Suggest) -> Candidate:
        """Return a candidate drawn through ``suggest``; it is settled and always builds."""
        drawn: dict[str, Any] = {}
        moot: set[str] = set()
        chain = self.chain
        for name, decision in self.decisions.items():
            drawn[name] = decision.baseline(self.chain)
            if name in self.choices and name not in moot:
                drawn[name] = decision.sample(suggest, self.narrowed(name, chain))
            with suppress(ProbeError):  # it is reset below, whatever is asked for in between
                chain = self.after(chain, decision, decision.settle(drawn[name], chain))
            moot.update(decision.moot(drawn, chain))
        return self.candidate(drawn)

    @property
    def members(self) -> Sequence[Space]:
        """The space of every backbone; only this one if there is no other."""
        return (self,)

    def member_of(self, candidate: Candidate) -> Space:
        """Return the space of the candidate's backbone."""
        return self

    def narrowed(self, name: str, chain: Chain) -> Any:
        """Return the part of an open decision's choices that matters on ``chain``, with earlier decisions applied."""
        try:
            return self.decisions[name].narrow(self.choices[name], chain)
        except ProbeError:
            return self.choices[name]

    def baseline(self) -> Candidate:
        """Return the plain recipe: a new classifier, everything trained with SGD, nothing changed."""
        return self.candidate({name: decision.baseline(self.chain) for name, decision in self.decisions.items()})

    def extremes(self) -> tuple[Candidate, Candidate]:
        """Return the smallest and the largest candidate."""
        values: list[dict[str, Any]] = [{}, {}]
        for name, decision in self.decisions.items():
            plain = (decision.baseline(self.chain),) * 2
            both = decision.extremes(self.choices[name], self.chain) if name in self.choices else plain
            for chosen, value in zip(values, both, strict=True):
                chosen[name] = value
        return self.candidate(values[0]), self.candidate(values[1])

    def parameters(self) -> dict[str, str]:
        """Return every parameter that a candidate may have, with its range in words, in order of the decisions.

        Parameters that only matter under others are found by drawing.
        """
        seen: dict[str, dict[str, str]] = {name: {} for name in self.choices}
        for name, choices in self.choices.items():
            for seed in range(_DRAWS):
                self.decisions[name].sample(Recorder(seed, seen[name]), choices)
        return {parameter: text for of_decision in seen.values() for parameter, text in sorted(of_decision.items())}

    def params(self, candidate: Candidate) -> dict[str, Scalar] | None:
        """Return the parameters from which ``sample`` makes ``candidate``; None if the space does not hold it."""
        own: dict[str, Scalar] = {}
        moot: set[str] = set()
        chain, values = self.chain, self.values(candidate)
        for name, value in values.items():
            decision = self.decisions[name]
            if name in self.choices and name not in moot:
                params = decision.params(value, self.narrowed(name, chain))
            else:
                params = {} if value == decision.baseline(self.chain) else None
            if params is None:
                return None
            own |= params
            chain = self.after(chain, decision, value)
            moot.update(decision.moot(values, chain))
        return own

    def values(self, candidate: Candidate) -> dict[str, Any]:
        """Return the typed value of every decision.

        Raises:
            CandidateError: the candidate is of another backbone, or has decisions unknown to this version.
        """
        if candidate.structure.backbone != self.pretrained.backbone:
            raise CandidateError(
                f"the candidate is for {candidate.structure.backbone}, this study has {self.pretrained.backbone}"
            )
        return read_values(candidate, self.chain, self.decisions)

    def apply(self, candidate: Candidate) -> Chain:
        """Return the pretrained chain with every edit of ``candidate`` applied; unedited units are shared.

        Raises:
            CandidateError: the candidate is of another backbone, input size or version, or asks for units that this
                backbone does not have.
        """
        chain = self._apply(self.values(candidate))
        wanted = candidate.structure.input_size
        if chain.input_size != wanted:
            given, own = ("x".join(str(side) for side in size) for size in (wanted, chain.input_size))
            raise CandidateError(f"the candidate is for images of {given} pixels, this study gives it {own}")
        return chain

    def words(self, candidate: Candidate) -> str:
        """Return a one-line description of the candidate."""
        values, parts = self.values(candidate), self.words_of(candidate)
        plain = values == {name: decision.baseline(self.chain) for name, decision in self.decisions.items()}
        scratch = " from scratch" if self.pretrained.weights == NO_WEIGHTS else ""
        label = f"{self.pretrained.label}{scratch}"
        text = ", ".join(filter(None, parts.values()))
        return f"{label}, plain recipe: everything trained, {text}" if plain else f"{label}, {text}"

    def words_of(self, candidate: Candidate) -> dict[str, str]:
        """Return each decision of the candidate in words; empty if it changes nothing."""
        values = self.values(candidate)
        words: dict[str, str] = {}
        chain = self.chain
        for name, decision in self.decisions.items():
            words[name] = decision.words(values[name], chain)
            chain = self.after(chain, decision, values[name])
        return {**words, **dict.fromkeys(self.moot(values, chain), "")}

    def check(self, candidate: Candidate) -> None:
        """Check on fake tensors that the whole candidate runs.

        Raises:
            ProbeError: it does not; names the unit.
        """
        probe.describe(self.apply(candidate))

    def _apply(self, values: Mapping[str, Any]) -> Chain:
        chain = self.chain
        for name, decision in self.decisions.items():
            chain = self.after(chain, decision, values[name])
        return chain

    def after(self, chain: Chain, decision: Decision[Any], value: Any) -> Chain:
        """Return ``chain`` with the edit made; the same object for the same edit, so that probes are not repeated."""
        key = (chain, decision.name, json.dumps(decision.dump(value), sort_keys=True))
        if key in self._edited:
            self._edited.move_to_end(key)
            return self._edited[key]
        changed = decision.apply(chain, value)
        if changed is not chain:
            self._edited[key] = changed
            if len(self._edited) > _REMEMBERED:
                self._edited.popitem(last=False)
        return changed

    def candidate(self, drawn: Mapping[str, Any]) -> Candidate:
        """Return the candidate of the values ``drawn``, one for every decision, settled: what has no effect in it is
        the plain recipe's. Changes that do not run together are undone, the last one first."""
        decisions = self.decisions
        values = dict(drawn)
        revertible = [name for name in reversed(decisions) if decisions[name].stage in _EDITS]
        while True:
            try:
                settled, chain = self._settled(values)
                probe.output_shape(chain)
            except ProbeError:
                changed = [name for name in revertible if values[name] != decisions[name].baseline(self.chain)]
                if not changed:
                    raise
                values[changed[0]] = decisions[changed[0]].baseline(self.chain)
            else:
                return self._dumped(settled, chain.input_size)

    def _settled(self, drawn: Mapping[str, Any]) -> tuple[dict[str, Any], Chain]:
        values, chain = self._settled_in_turn(drawn)
        for decision in self.decisions.values():
            reconciled = decision.reconcile(values, chain, self.choices)
            if any(values[name] != value for name, value in reconciled.items()):
                values, chain = self._settled_in_turn({**values, **reconciled})
        moot = self.moot(values, chain)
        plain = {name: self.decisions[name].baseline(self.chain) for name in moot}
        return self._settled_in_turn({**values, **plain}) if plain else (values, chain)

    def moot(self, values: Mapping[str, Any], chain: Chain) -> set[str]:
        """Return the decisions without any effect given ``values``, all of which are applied to ``chain``."""
        names = {name for decision in self.decisions.values() for name in decision.moot(values, chain)}
        return names & set(self.decisions)

    def _settled_in_turn(self, drawn: Mapping[str, Any]) -> tuple[dict[str, Any], Chain]:
        chain = self.chain
        values: dict[str, Any] = {}
        for name, decision in self.decisions.items():
            values[name] = decision.settle(drawn[name], chain)
            chain = self.after(chain, decision, values[name])
        return values, chain

    def _dumped(self, values: Mapping[str, Any], input_size: tuple[int, int]) -> Candidate:
        decisions = self.decisions
        structure = {
            name: decisions[name].dump(value) for name, value in values.items() if is_structure(decisions[name])
        }
        recipe = {
            name: decisions[name].dump(value) for name, value in values.items() if not is_structure(decisions[name])
        }
        pretrained = self.pretrained
        return Candidate(Structure(pretrained.backbone, pretrained.weights, input_size, structure), Recipe(recipe))


def is_structure(decision: Decision[Any]) -> bool:
    """Return whether the decision shapes the network rather than its training."""
    return decision.stage < Stage.RECIPE


def read_values(
    candidate: Candidate, chain: Chain, decisions: Mapping[str, Decision[Any]] | None = None
) -> dict[str, Any]:
    """Return the typed value of each of ``decisions``; one that the candidate does not name has the plain
    recipe's. All that are installed by default.

    Raises:
        CandidateError: a decision is not installed, or data are not its own.
    """
    decisions = registry() if decisions is None else decisions
    given = {**candidate.structure.choices, **candidate.recipe.choices}
    unknown = sorted(set(given) - set(decisions))
    if unknown:
        raise CandidateError(
            f"the candidate has the decision {unknown[0]!r}, which is not installed; known: {', '.join(decisions)}"
        )
    for part, choices in (("structure", candidate.structure.choices), ("recipe", candidate.recipe.choices)):
        misplaced = [name for name in choices if is_structure(decisions[name]) is not (part == "structure")]
        if misplaced:
            raise CandidateError(
                f"the candidate's {part} has the decision {misplaced[0]!r}, which does not belong there"
            )
    return {
        name: decision.parse(given[name]) if name in given else decision.baseline(chain)
        for name, decision in decisions.items()
    }
