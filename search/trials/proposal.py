"""Which candidate a trial tries: one of the portfolio, the plain recipe, a warm start, or one drawn."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from search.errors import ConstraintError
from search.records.study import Json, Rejected, TrialState
from search.runtime import objective_values
from search.runtime.study_runtime import StudyRuntime
from search.runtime.training_cost import cost_of
from search.sampling.cost_model import CostFeatures, SecondsModel
from search.sampling.optuna_study import Asked, Sampling
from search.store import history as histories
from search.store.connection import Engine
from search.store.history import StudyHistory
from search.trials.draws import DrawnCandidate, Draws, lengths
from search.trials.portfolio import PLAIN, Planned, plan_of, planned
from search.trials.prior_knowledge import on_larger_maps, prior_of
from spaces.candidate import Candidate
from spaces.errors import CandidateError
from spaces.networks.neighbours import neighbour
from spaces.networks.several_backbones import decision_of
from spaces.networks.space import Random

logger = logging.getLogger(__name__)
FREE_BESIDE = ("head", "dropout", "penalty", "optimizer", "label_smoothing", "head_start")
"""Decisions in which trials trained at once may differ: they share batches and backbone."""
REDRAWS = 5
"""How often to redraw a candidate that has been tried already; a small space may hold no other."""
REJECTIONS, REMEMBERED = 64, 16
"""How often to redraw a candidate that breaks a constraint, and how many of these are reported to the sampler."""
HOPELESS = 32
"""How often to redraw one that is bound to be bad; a study's ranges may hold no other."""
TOO_LONG = 8
"""After this many draws that would not end in time, the next becomes a linear probe, which still fits."""
PLAIN_SHARE = 0.1
"""Largest share of a study's time that the plain recipe may take: it is a reference and seldom the winner."""
MEMBER_SHARE = 0.5
"""The same for a member: a longer one would leave no time to train it on all data at the end."""
GIVEN = "study file"
"""Stands for the study of a warm start that the study file itself names; its trial is its place there."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A candidate and what it was drawn from.

    Attributes:
        origin: how it was found: ``way`` (``portfolio``, ``plain``, ``warm``, ``neighbour``, ``prior``, ``sampler``),
            and the ``name`` or the ``trial`` (of a ``study``) that it comes from; ``whole_epochs``, how many it would
            have been trained for had there been more time.
        cost: the expected computation of its training.
        prior: how many traits it has that did better on other data.
        known: its costs that are known before training; empty if the study's objectives and constraints need none.
        rejected: candidates that were drawn before it and break a constraint, the last ``REMEMBERED`` of them.
    """

    candidate: Candidate
    asked: Asked
    cost: CostFeatures
    is_baseline: bool = False
    origin: Mapping[str, Json] = field(default_factory=dict)
    known: Mapping[str, float] = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()
    prior: int = 0

    @property
    def extras(self) -> dict[str, Json]:
        """What is stored besides the candidate."""
        facts: dict[str, Json] = {"cost": self.cost.to_json()}
        optional = {
            "origin": dict(self.origin),
            "known": dict(self.known),
            "rejected": [asdict(one) for one in self.rejected],
            "marks": dict(self.asked.marks),
            "prior": self.prior,
        }
        if "latency" in self.known:
            facts["latency_ms"] = self.known["latency"]
        if "latency_lower" in self.known:
            facts["latency_quartiles_ms"] = [self.known["latency_lower"], self.known["latency_upper"]]
        return facts | {name: value for name, value in optional.items() if value}


@dataclass(slots=True)
class Proposer:
    """Proposes the candidates of one study.

    Attributes:
        history: its trials so far.
        fits: whether a trial of that many seconds ends in time.
        costs: the computation that candidates take, by fingerprint; one that takes too long is planned again and again.
    """

    runtime: StudyRuntime
    sampling: Sampling
    history: StudyHistory
    engine: Engine
    fits: Callable[[float], bool] = lambda _: True
    costs: dict[str, CostFeatures] = field(default_factory=dict)
    _seconds: SecondsModel | None = None

    def propose(self, number: int) -> Proposal:
        """Return the candidate of trial ``number``: planned ones first, then drawn ones.

        A candidate that the study has tried already is drawn again, ``REDRAWS`` times at most; one that breaks a
        constraint is reported to the sampler and drawn again, ``REJECTIONS`` times at most. The plain recipe is
        the reference for all others and runs even if it breaks constraints.

        Raises:
            ConstraintError: no candidate that was drawn satisfies the constraints.
        """
        self._refresh()
        if number == 0:
            self._check_constraints()
        return self._planned(number) or self._sampled(number)

    def made(
        self,
        candidate: Candidate,
        asked: Asked,
        *,
        is_baseline: bool = False,
        origin: Mapping[str, Json] | None = None,
        known: Mapping[str, float] | None = None,
        rejected: Sequence[Rejected] = (),
    ) -> Proposal:
        """Return the proposal of ``candidate``; ``known`` is computed unless given."""
        if known is None:
            known = objective_values.known(self.runtime, candidate, whole=True)
        cost, kept, prior = self._cost(candidate), tuple(rejected[-REMEMBERED:]), prior_of(self.runtime, candidate)
        return Proposal(candidate, asked, cost, is_baseline, origin or {}, known, kept, prior)

    def propose_beside(self, number: int, other: Candidate) -> Proposal | None:
        """Return a candidate for trial ``number`` that differs from ``other`` in head and recipe alone.

        The sampler proposes what may differ, given the rest. None where this study's space holds no other one.
        """
        params = self.runtime.space.params(other)
        if params is None:
            return None
        self._refresh()
        fixed = {name: value for name, value in params.items() if decision_of(name) not in FREE_BESIDE}
        shared, draws = _shared(other), self._draws()
        is_drawn_near = draws.way(number) != "sampler"
        for attempt in range(REDRAWS):
            if is_drawn_near:
                near = neighbour(self.runtime.space, other, self.sampling.seed_of(number, attempt), FREE_BESIDE)
                drawn = draws.of_candidate(number, near, way="neighbour")
            else:
                asked = self.sampling.ask(number, beside=fixed, attempt=attempt)
                drawn = draws.settled(number, asked, {"way": "sampler", "name": self.runtime.spec.search.sampler.name})
            candidate = drawn.candidate
            if _shared(candidate) == shared and candidate.fingerprint not in self.history.fingerprints:
                known, excesses = self._appraised(candidate)
                if not _breaks(excesses):
                    return self.made(candidate, drawn.asked, origin=drawn.origin, known=known)
        return None

    def _refresh(self) -> None:
        self.history.refresh()
        self._seconds = None

    def _model(self) -> SecondsModel:
        """Return the model that predicts seconds from the trials so far; fitted on first use, which many never need."""
        if self._seconds is None:
            self._seconds = SecondsModel(self.history.trials)
        return self._seconds

    def is_planned(self, number: int) -> bool:
        """Return whether trial ``number`` may be of the portfolio, the plain recipe or a warm start."""
        return number < len(plan_of(self.runtime))

    def _draws(self) -> Draws:
        return Draws(self.runtime, self.sampling, self.history.trials)

    def _planned(self, number: int) -> Proposal | None:
        """Return the proposal planned for trial ``number``, or else the next one that nobody has tried.

        Workers that start together take different places of the same plan.
        """
        plan, tried = plan_of(self.runtime)[number:], self.history.fingerprints
        if not plan:
            return None
        warm = dict(enumerate(self._fitting(number, self.runtime.spec.search.warm_starts)))
        for item in plan:
            proposal = self._made_of(item, number, warm)
            if proposal is not None and proposal.candidate.fingerprint not in tried:
                return proposal
        return None

    def _made_of(self, item: str | int | Planned, number: int, warm: Mapping[int, Proposal]) -> Proposal | None:
        """Return the proposal of one ``item`` of the plan; None if there is none or it breaks a constraint."""
        if isinstance(item, int):
            return warm.get(item)
        if not isinstance(item, Planned):
            is_too_long = self._is_too_long(self.runtime.space.baseline(), PLAIN_SHARE)
            return None if is_too_long else self._baseline(number)
        known_members = [one.candidate for one in planned(self.runtime.space, self.runtime.task.name)]
        adapted = on_larger_maps(self.runtime, item.candidate, known_members, self.history.trials)
        for whole in (adapted,) if adapted == item.candidate else (adapted, item.candidate):
            candidate = self._timely(whole, MEMBER_SHARE)
            known, excesses = self._appraised(candidate) if candidate is not None else ({}, {})
            if candidate is not None and not _breaks(excesses):
                origin = {"way": "portfolio", "name": item.member.name, **self._shortened(whole, candidate)}
                drawn = self._draws().of_candidate(number, candidate, **origin)
                return self.made(drawn.candidate, drawn.asked, origin=drawn.origin, known=known)
        return None

    def _timely(self, candidate: Candidate, share: float) -> Candidate | None:
        """Return ``candidate``, trained for as many of its epochs as end in time.

        None if even the fewest do not, or if it has been trained for more already.
        """
        offered = list(lengths(self.runtime, candidate))
        if self._is_too_long(offered[-1], share):  # asked first: what the others take need not be counted then
            return None
        for one in offered:
            if not self._is_too_long(one, share):
                return one
            if one.fingerprint in self.history.fingerprints:
                return None
        return None

    def _shortened(self, whole: Candidate, candidate: Candidate) -> Mapping[str, Json]:
        """Return how many epochs ``whole`` has, of which ``candidate`` runs fewer for want of time."""
        runtime = self.runtime.of(candidate)
        return {"whole_epochs": runtime.epochs(whole)} if runtime.epochs(candidate) < runtime.epochs(whole) else {}

    def _is_too_long(self, candidate: Candidate, share: float) -> bool:
        """Return whether a trial of ``candidate`` would not end in time, or take more than ``share`` of the study's.

        Never in a study without a portfolio, which has nothing else to begin with, or without a limit.
        """
        search = self.runtime.spec.search
        limits = [float(limit) for limit in (search.timeout, search.gpu_seconds) if limit]
        if search.portfolio == "off" or not limits or not self._model().measured:
            return False
        seconds = self._model().seconds(self._cost(candidate))
        return seconds > share * min(limits) or not self.fits(seconds)

    def _cost(self, candidate: Candidate) -> CostFeatures:
        if candidate.fingerprint not in self.costs:
            self.costs[candidate.fingerprint] = cost_of(self.runtime, candidate)
        return self.costs[candidate.fingerprint]

    def _baseline(self, number: int) -> Proposal:
        drawn = self._draws().of_candidate(number, self.runtime.space.baseline(), way=PLAIN)
        return self.made(drawn.candidate, drawn.asked, is_baseline=True, origin=drawn.origin)

    def _fitting(self, number: int, count: int) -> Iterator[Proposal]:
        """Yield those of the given candidates, or of other studies' best, that this study's space holds, each once."""
        space, spec = self.runtime.space, self.runtime.spec
        seen = {space.baseline().fingerprint}
        given = spec.search.candidates
        offered: Iterable[tuple[str, int, Json]] = [(GIVEN, index, data) for index, data in enumerate(given)]
        if not given:
            offered = histories.earlier_best(self.engine, spec.name, count)
        for study, trial, data in offered:
            try:
                params = space.params(Candidate.from_json(data))
            except CandidateError as error:
                logger.warning("the warm start %s of %s is passed over: %s", trial, study, error)
                continue  # its decisions, format or backbone are not this study's
            if params is None:
                continue
            drawn = self._draws().settled(number, self.sampling.ask(number, params), {"study": study, "trial": trial})
            if drawn.candidate.fingerprint not in seen:
                seen.add(drawn.candidate.fingerprint)
                known, excesses = self._appraised(drawn.candidate)
                if not _breaks(excesses):
                    yield self.made(drawn.candidate, drawn.asked, origin={"way": "warm", **drawn.origin}, known=known)

    def _sampled(self, number: int) -> Proposal:
        options = self.runtime.spec.search.sampler
        ended = (TrialState.COMPLETE, TrialState.PRUNED)
        learnt = sum(trial.state in ended for trial in self.history.trials) >= options.startup
        if options.name != "cost_aware" or not learnt or self._draws().way(number) != "sampler":
            return next(self._untried(number, 1))
        return max(
            self._untried(number, options.proposals),
            key=lambda proposal: proposal.asked.improvement / self._model().seconds(proposal.cost),
        )

    def _untried(self, number: int, count: int) -> Iterator[Proposal]:
        """Yield ``count`` proposals that the study has not tried; the last one drawn if there is no other.

        Draws that break a constraint do not count: they are reported to the sampler, which learns to avoid them. Nor do
        those that are bound to be bad or would not end in time.
        """
        rejected: list[Rejected] = []
        left, drawn = count, 0
        for draw in itertools.islice(self._promising(number, rejected), count + REDRAWS + REJECTIONS):
            known, excesses = self._appraised(draw.candidate)
            if _breaks(excesses):
                rejected.append(self.sampling.reject(draw.asked, excesses))
                if len(rejected) < REJECTIONS:
                    continue
                if left == count:
                    yield self._last_resort(number, rejected)
                return
            drawn += 1
            is_last = drawn == count + REDRAWS and left == count
            if is_last or draw.candidate.fingerprint not in self.history.fingerprints:
                yield self.made(draw.candidate, draw.asked, origin=draw.origin, known=known, rejected=rejected)
                left -= 1
            if not left or drawn == count + REDRAWS:
                return

    def _promising(self, number: int, rejected: Sequence[Rejected]) -> Iterator[DrawnCandidate]:
        """Yield draws that may be good and end in time, while there are any."""
        draws, hopeless, too_long = self._draws(), 0, 0
        for attempt in itertools.count():
            draw = draws.draw(number, attempt, rejected)
            if hopeless < HOPELESS and draws.why_hopeless(draw.candidate):
                hopeless += 1
                continue
            timely = self._timely(draw.candidate, 1.0) if too_long < 2 * TOO_LONG else draw.candidate
            if timely is None:
                too_long += 1
                probe = draws.probe_of(number, draw.candidate) if too_long > TOO_LONG else None
                if probe is None or probe.candidate.fingerprint in self.history.fingerprints:
                    continue
                draw = probe
            elif timely is not draw.candidate:
                origin = {**draw.origin, **self._shortened(draw.candidate, timely)}
                draw = draws.of_candidate(number, timely, **origin)
            yield draw

    def _appraised(self, candidate: Candidate) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """Return the costs of ``candidate`` and by how much each exceeds its constraint."""
        known = objective_values.known(self.runtime, candidate)
        return known, self.runtime.spec.goals.constraints.excesses(known)

    def _last_resort(self, number: int, rejected: Sequence[Rejected]) -> Proposal:
        """Return the smallest or largest candidate, for when no draw satisfies the constraints.

        Raises:
            ConstraintError: these break them too, or have been tried already.
        """
        space = self.runtime.space
        for candidate in space.extremes():
            params = space.params(candidate)
            if params is None or candidate.fingerprint in self.history.fingerprints:
                continue
            known, excesses = self._appraised(candidate)
            if not _breaks(excesses):
                asked = self.sampling.ask(number, params)
                return self.made(space.sample(asked.suggest), asked, known=known, rejected=rejected)
        raise _none_fits([one.constraints for one in rejected])

    def _check_constraints(self) -> None:
        """Check, before anything is trained, that the space holds candidates small enough for the constraints.

        Raises:
            ConstraintError: not one of ``REJECTIONS`` random candidates, nor the smallest or the largest one.
        """
        space, bounds, tried = self.runtime.space, self.runtime.spec.goals.constraints, []
        if not bounds.names() & {"parameters", "flops"}:
            return
        draws = (space.sample(Random(seed)) for seed in range(REJECTIONS))
        for candidate in itertools.chain(space.extremes(), draws):
            tried.append(bounds.excesses(objective_values.counted(self.runtime, candidate)))
            if not _breaks(tried[-1]):
                return
        raise _none_fits(tried)


def _breaks(excesses: Mapping[str, float]) -> bool:
    return any(excess > 0 for excess in excesses.values())


def _none_fits(tried: Sequence[Mapping[str, float]]) -> ConstraintError:
    nearest = min(tried, key=lambda excesses: sum(excess for excess in excesses.values() if excess > 0))
    broken = " and ".join(f"{text} by {_times(excess)}" for text, excess in nearest.items() if excess > 0)
    return ConstraintError(
        f"none of {len(tried)} candidates drawn satisfies the constraints; the nearest one breaks {broken}. Loosen "
        "`constraints`, open decisions that reach them (tail, skip, width, resolution), or take another backbone"
    )


def _times(excess: float) -> str:
    return f"{100 * excess:.1f} %" if excess < 10 else f"{excess + 1:,.0f} times"


def _shared(candidate: Candidate) -> tuple[Json, ...]:
    """Return the values that candidates trained at once must share."""
    structure = candidate.structure
    every = {**structure.choices, **candidate.recipe.choices}
    return (
        structure.backbone,
        structure.input_size,
        {name: value for name, value in every.items() if name not in FREE_BESIDE},
    )
