"""A candidate drawn for a trial: near a good one, from the priors, or by the sampler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from search.records.study import Json, PastTrial, Rejected, TrialState
from search.runtime.study_runtime import StudyRuntime
from search.runtime.training_cost import steps_of
from search.sampling import strategies
from search.sampling.optuna_study import Asked, Sampling
from search.trials import rejection_rules
from search.trials.prior_knowledge import linear_probe
from spaces.candidate import Candidate
from spaces.decisions.mixing import mixes
from spaces.networks.draws import FromPrior
from spaces.networks.neighbours import neighbour
from spaces.networks.several_backbones import opening
from spaces.networks.space import StoredParameters

_FEWEST_STEPS = 32
"""A training that is shortened has at least so many: AdamW's first steps disturb a head that starts solved, and 24 of
them were too few to recover (0.46 where 48 reached 0.77)."""
_MIXED = 0.7
"""Smallest share of its epochs that a candidate which mixes samples is shortened to: half of them cost it 1 to 6 points
(MobileNetV2 at 128 px, CutMix, two sets)."""
_GUIDED = ("tpe", "cost_aware")
"""Samplers that learn from single trials. Genetic ones need whole generations; ``random`` is meant to be uniform."""


@dataclass(frozen=True, slots=True)
class DrawnCandidate:
    """A candidate, the parameters reported to the sampler, and how it was found."""

    candidate: Candidate
    asked: Asked
    origin: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Draws:
    """Draws candidates of one study."""

    runtime: StudyRuntime
    sampling: Sampling
    trials: Sequence[PastTrial]

    def way(self, number: int) -> strategies.Way:
        """Return how to find the candidate of trial ``number``."""
        search = self.runtime.spec.search
        if search.portfolio == "off" or not search.sampler.is_guided:
            return "sampler"
        ended = (TrialState.COMPLETE, TrialState.PRUNED)
        results = sum(trial.state in ended for trial in self.trials)
        return strategies.way(results, search.sampler.startup, self.sampling.seed_of(number))

    def draw(self, number: int, attempt: int, rejected: Sequence[Rejected]) -> DrawnCandidate:
        """Return a candidate for trial ``number``, the same one for the same ``attempt``."""
        way = self.way(number)
        if way == "neighbour":
            drawn = self._near(number, attempt)
            if drawn is not None:
                return drawn
        if way != "sampler":
            return self.of_candidate(
                number, self.runtime.space.sample(FromPrior(self.sampling.seed_of(number, attempt))), way="prior"
            )
        decided = opening(self.runtime.space, number) or None
        asked = self.sampling.ask(number, attempt=attempt, rejected=rejected, beside=decided)
        return self.settled(number, asked, {"way": "sampler", "name": self.runtime.spec.search.sampler.name})

    def _near(self, number: int, attempt: int) -> DrawnCandidate | None:
        space, seed = self.runtime.space, self.sampling.seed_of(number, attempt)
        good = strategies.good_one(self.trials, maximize=self.runtime.spec.maximize, seed=seed)
        if good is None:
            return None
        candidate = neighbour(space, space.sample(StoredParameters(good.params)), seed)
        return self.of_candidate(number, candidate, way="neighbour", trial=good.number)

    def probe_of(self, number: int, candidate: Candidate) -> DrawnCandidate | None:
        """Return the linear probe of the structure of ``candidate``; None if it is not in this study's space."""
        probe = linear_probe(self.runtime, candidate)
        return self.of_candidate(number, probe, way="neighbour") if probe else None

    def of_candidate(self, number: int, candidate: Candidate, **origin: Json) -> DrawnCandidate:
        """Return a candidate that was found without the sampler, with the parameters reported to the sampler."""
        params = self.runtime.space.params(candidate)
        asked = self.sampling.ask(number, params or {})
        if params is not None:
            self.runtime.space.sample(asked.suggest)
        return DrawnCandidate(candidate, asked, origin)

    def settled(self, number: int, asked: Asked, origin: Mapping[str, Json]) -> DrawnCandidate:
        """Return the candidate of ``asked``, and it with only those parameters that have an effect in the candidate."""
        space = self.runtime.space
        candidate = space.sample(asked.suggest)
        params = space.params(candidate)
        if params is None or params == asked.params:
            return DrawnCandidate(candidate, asked, origin)
        settled = self.sampling.settled(asked, number, params)
        return DrawnCandidate(space.sample(settled.suggest), settled, origin)

    def why_hopeless(self, candidate: Candidate) -> str:
        """Return why ``candidate`` is bound to be bad; empty if it may be good, or if the study rules nothing out."""
        if self.runtime.spec.search.portfolio == "off":
            return ""
        space = self.runtime.space.member_of(candidate)
        values, chain = space.values(candidate), space.apply(candidate)
        return rejection_rules.why_hopeless(rejection_rules.Facts(values, chain, steps_of(self.runtime, candidate)))


def lengths(runtime: StudyRuntime, candidate: Candidate) -> Iterator[Candidate]:
    """Yield ``candidate``, then its versions with fewer epochs that the study's space holds, the longest first."""
    yield candidate
    space = runtime.space.member_of(candidate)
    drawn, tried = space.values(candidate), {candidate.fingerprint}
    least = _MIXED if mixes(drawn) else 0.0
    for share in sorted(
        (one for one in space.choices.get("epochs", ()) if least <= one < drawn["epochs"]), reverse=True
    ):
        shorter = space.candidate({**drawn, "epochs": share})
        is_new = shorter.fingerprint not in tried and space.params(shorter) is not None
        if is_new and steps_of(runtime, shorter) >= _FEWEST_STEPS:
            tried.add(shorter.fingerprint)
            yield shorter
