"""Which candidate a trial tries: the baseline, one that was good elsewhere, or one the sampler proposes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch

from search.cost import CostFeatures, SecondsModel, training_flops
from search.data.sample import Split
from search.laboratory import Laboratory
from search.records import Json, TrialState
from search.store import history as histories
from search.store.connection import Engine
from search.store.history import History
from search.study import Asked, Sampling
from spaces import probe
from spaces.build import head_macs
from spaces.candidate import Candidate
from spaces.chain import Trainable
from spaces.decisions.head import attachment
from spaces.errors import CandidateError

logger = logging.getLogger(__name__)
FREE_BESIDE = ("head", "dropout", "penalty", "optimizer", "label_smoothing")
"""Decisions in which trials that are trained at once may differ: they share batches and backbone."""
REDRAWS = 5
"""How often a candidate that has been tried already is drawn again; a small space may hold no other."""

GIVEN = "study file"
"""Stands for the study of a warm start that the study file itself names; its trial is its place there."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A candidate and what it was drawn from.

    Attributes:
        origin: study and trial that a warm start comes from; empty for any other.
        cost: what its training is expected to compute.
    """

    candidate: Candidate
    asked: Asked
    cost: CostFeatures
    is_baseline: bool = False
    origin: Mapping[str, Json] = field(default_factory=dict)

    @property
    def extras(self) -> dict[str, Json]:
        """What is worth keeping of it beside the candidate."""
        return {"cost": self.cost.to_json()} | ({"origin": dict(self.origin)} if self.origin else {})


@dataclass(frozen=True, slots=True)
class Proposer:
    """Proposes the candidates of one study; ``history`` is what it has behind it."""

    laboratory: Laboratory
    sampling: Sampling
    history: History
    engine: Engine

    def propose(self, number: int) -> Proposal:
        """Return the candidate of trial ``number``: 0 is the baseline, then warm starts, then the sampler's.

        A candidate that the study has tried already is drawn again, ``REDRAWS`` times at most.
        """
        self.history.refresh()
        if number == 0:
            return self._baseline()
        return self._warm(number) or self._sampled(number)

    def propose_beside(self, number: int, other: Candidate) -> Proposal | None:
        """Return a candidate for trial ``number`` that differs from ``other`` in head and recipe alone.

        The sampler proposes what may differ, given the rest. None where this study's space holds no other one.
        """
        params = self.laboratory.space.params(other)
        if params is None:
            return None
        self.history.refresh()
        fixed = {name: value for name, value in params.items() if name.split(".")[0] not in FREE_BESIDE}
        shared = _shared(other)
        for attempt in range(REDRAWS):
            asked = self.sampling.ask(number, beside=fixed, attempt=attempt)
            drawn = self.laboratory.space.sample(asked.suggest)
            if _shared(drawn) == shared and drawn.fingerprint not in self.history.fingerprints:
                return Proposal(drawn, asked, cost_of(self.laboratory, drawn))
        return None

    def is_warm(self, number: int) -> bool:
        """Return whether trial ``number`` is the baseline or may be a warm start."""
        return number <= self.laboratory.spec.search.warm_starts

    def _baseline(self) -> Proposal:
        space = self.laboratory.space
        candidate = space.baseline()
        params = space.params(candidate)
        asked = self.sampling.ask(0, params or {})
        if params is not None:
            space.sample(asked.suggest)  # tells Optuna the plain recipe's parameters, where the space holds them
        return Proposal(candidate, asked, cost_of(self.laboratory, candidate), is_baseline=True)

    def _warm(self, number: int) -> Proposal | None:
        spec = self.laboratory.spec
        if number > spec.search.warm_starts:
            return None
        tried = self.history.fingerprints
        found = tuple(self._fitting(number, spec.search.warm_starts))
        # Workers that start together take different places of the same list.
        for proposal in (*found[number - 1 : number], *found):
            if proposal.candidate.fingerprint not in tried:
                return proposal
        return None

    def _fitting(self, number: int, count: int) -> Iterator[Proposal]:
        """Yield what this study's space holds of the candidates given, or of other studies' best, each once."""
        space, spec = self.laboratory.space, self.laboratory.spec
        seen = {space.baseline().fingerprint}
        given = spec.search.candidates
        offered: Iterable[tuple[str, int, Json]] = [(GIVEN, place, data) for place, data in enumerate(given)]
        if not given:
            offered = histories.earlier_best(self.engine, spec.name, count)
        for study, trial, data in offered:
            try:
                params = space.params(Candidate.from_json(data))
            except CandidateError as error:
                logger.warning("the warm start %s of %s is passed over: %s", trial, study, error)
                continue  # of decisions, a format or a backbone that is not this study's
            if params is None:
                continue
            asked = self.sampling.ask(number, params)
            candidate = space.sample(asked.suggest)
            if candidate.fingerprint not in seen:
                seen.add(candidate.fingerprint)
                origin = {"study": study, "trial": trial}
                yield Proposal(candidate, asked, cost_of(self.laboratory, candidate), origin=origin)

    def _sampled(self, number: int) -> Proposal:
        options = self.laboratory.spec.search.sampler
        ended = (TrialState.COMPLETE, TrialState.PRUNED)
        learnt = sum(trial.state in ended for trial in self.history.trials) >= options.startup
        if options.name != "cost_aware" or not learnt:
            return next(self._untried(number, 1))
        model = SecondsModel(self.history.trials)
        return max(
            self._untried(number, options.proposals),
            key=lambda proposal: proposal.asked.improvement / model.seconds(proposal.cost),
        )

    def _untried(self, number: int, count: int) -> Iterator[Proposal]:
        """Yield ``count`` proposals that the study has not tried; the last one drawn if there is no other."""
        space = self.laboratory.space
        left = count
        for attempt in range(count + REDRAWS):
            asked = self.sampling.ask(number, attempt=attempt)
            candidate = space.sample(asked.suggest)
            is_last = attempt == count + REDRAWS - 1 and left == count
            if is_last or candidate.fingerprint not in self.history.fingerprints:
                yield Proposal(candidate, asked, cost_of(self.laboratory, candidate))
                left -= 1
            if not left:
                return


def _shared(candidate: Candidate) -> tuple[Json, ...]:
    """Return all that candidates which are trained at once have in common."""
    structure = candidate.structure
    every = {**structure.choices, **candidate.recipe.choices}
    return structure.input_size, {name: value for name, value in every.items() if name not in FREE_BESIDE}


def cost_of(laboratory: Laboratory, candidate: Candidate) -> CostFeatures:
    """Return what training ``candidate`` costs, counted on fake tensors; nothing is built."""
    chain = laboratory.space.apply(candidate)
    values = laboratory.space.values(candidate)
    choice = replace(values["head"], dropout=values["dropout"].head)
    with torch.device("meta"):
        head = laboratory.task.head(attachment(chain), len(laboratory.dataset.classes), choice, values)
    head = head.to("meta")  # what a task knows of its data, such as the mean of its targets, lies on the CPU
    facts = probe.describe(chain)
    frozen = next((index for index, unit in enumerate(chain) if not unit.is_frozen), len(chain))
    prefix = 2 * sum(unit.macs for unit in facts[:frozen])
    suffix = 2 * (sum(unit.macs for unit in facts[frozen:]) + head_macs(head, chain))
    trained = sum(parameter.numel() for parameter in head.parameters()) + sum(
        fact.parameters for unit, fact in zip(chain, facts, strict=True) if unit.trainable is Trainable.ALL
    )
    epochs = laboratory.epochs(candidate)
    samples = {split: len(laboratory.dataset.of(split)) for split in (Split.TRAIN, Split.VAL)}
    total = training_flops(prefix, suffix, train=samples[Split.TRAIN], val=samples[Split.VAL], epochs=epochs)
    return CostFeatures(total, prefix + suffix, trained, prefix / max(prefix + suffix, 1), epochs)
