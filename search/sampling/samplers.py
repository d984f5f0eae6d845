"""Samplers, which propose candidates from the part of a study's history that they can use."""

from __future__ import annotations

import heapq
import math
import warnings
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, ClassVar

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseSampler,
    NSGAIIISampler,
    NSGAIISampler,
    PartialFixedSampler,
    RandomSampler,
    TPESampler,
)
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState
from pydantic import Field

from search.records import pareto
from search.records.study import Objective, PastTrial, Rejected, TrialState
from search.sampling import hub

NAMES = ("tpe", "cost_aware", "nsga2", "nsga3", "random")
KEPT_BEST, KEPT = 50, 500
"""How many of the best trials, and how many in all, TPE is shown of a longer history; the others are the newest.

TPE models at most 25 trials as the good ones and gives older ones of the rest little weight, so that its proposals
hardly change, but reading ten thousand takes a second for every proposal.
"""
KEPT_REJECTED = 100
"""Most rejected candidates, the newest, that TPE is shown."""
_FIRST_GENERATION = {f"{kind.__name__}:generation": 0 for kind in (NSGAIISampler, NSGAIIISampler)}
"""Generation that a genetic sampler assigns to trials it has not drawn: the baseline, warm starts."""
_BAD = ("nan", "memory")
"""Failures caused by the candidate itself: TPE learns to avoid it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerOptions:
    """How candidates are proposed.

    Attributes:
        name: ``tpe``, Optuna's tree-structured Parzen estimator, for one objective or several; ``cost_aware``, of
            several such proposals the one with the most expected improvement per predicted second; ``nsga2`` or
            ``nsga3``, genetic algorithms for several objectives; ``random``; or ``optunahub:samplers/NAME``, one of
            OptunaHub's that lies on this machine, in the folder ``FTSEARCH_OPTUNAHUB`` or installed.
        startup: trials drawn at random before TPE begins to learn from results.
        proposals: among which ``cost_aware`` chooses.
        population: trials of a generation of ``nsga2`` and ``nsga3``; the first generation is drawn at random, so
            it is smaller than Optuna's 50, for trials that cost minutes.
    """

    name: Annotated[str, Field(examples=[*NAMES, f"{hub.PREFIX}samplers/NAME"])] = "tpe"
    startup: int = 8
    proposals: int = 8
    population: int = 16
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if self.name not in NAMES and not self.name.startswith(hub.PREFIX):
            raise ValueError(f"sampler must be {', '.join(NAMES)} or {hub.PREFIX}samplers/NAME, got {self.name!r}")
        if self.startup < 1:
            raise ValueError(f"startup must be at least 1 trial, got {self.startup}")
        if self.proposals < 1:
            raise ValueError(f"proposals must be at least 1, got {self.proposals}")
        if self.population < 2:
            raise ValueError(f"population must be at least 2 trials, got {self.population}")

    @property
    def is_genetic(self) -> bool:
        return self.name in ("nsga2", "nsga3")

    @property
    def is_guided(self) -> bool:
        """Whether draws of other kinds may help: it learns from single trials, however they were proposed.

        A genetic sampler needs its generations, and ``random`` is meant to be uniform.
        """
        return not self.is_genetic and self.name != "random"


class WeighedTPE(TPESampler):
    """TPE that keeps the expected improvement of the values it has drawn.

    Optuna offers no way to ask for that: this overrides the method in which it compares its draws. A test holds
    that it is still called.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._log_ratio = 0.0
        self._good_share = 0.1

    def _compute_acquisition_func(self, *args: Any, **kwargs: Any) -> Any:
        acquisition = super()._compute_acquisition_func(*args, **kwargs)
        self._log_ratio += float(acquisition.max())  # the draw with the largest value is taken
        return acquisition

    def improvement(self) -> float:
        return 1.0 / (self._good_share + (1 - self._good_share) * math.exp(min(-self._log_ratio, 700.0)))


class View(InMemoryStorage):
    """A storage for one proposal: the past trials, read-only, and the new one.

    ``remembered`` are notes of the sampler on the study, kept from proposal to proposal: which trials are the
    parents of each generation.
    """

    def __init__(self, behind: Sequence[FrozenTrial], remembered: dict[str, Any] | None = None) -> None:
        super().__init__()
        self._behind = behind
        self._remembered = {} if remembered is None else remembered

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._remembered[key] = value

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._remembered

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[OptunaState] | None = None
    ) -> list[FrozenTrial]:
        own = super().get_all_trials(study_id, deepcopy=deepcopy, states=states)
        return own + [trial for trial in self._behind if states is None or trial.state in states]


class QueuedValues(BaseSampler):
    """Returns the queued values; other parameters are drawn at random."""

    def __init__(self, values: Mapping[str, Any], seed: int) -> None:
        self._values = values
        self._random = RandomSampler(seed=seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if param_name in self._values:
            return self._values[param_name]
        return self._random.sample_independent(study, trial, param_name, param_distribution)


def make(options: SamplerOptions, seed: int, rejected: int = 0) -> BaseSampler:
    """Return the sampler of ``options``, its random numbers drawn from ``seed``.

    ``rejected`` of the trials it is shown were not trained: they do not count as TPE's startup.
    """
    if options.name == "random":
        return RandomSampler(seed=seed)
    if options.name.startswith(hub.PREFIX):
        return hub.make(options.name, seed)
    if options.is_genetic:
        genetic = NSGAIISampler if options.name == "nsga2" else NSGAIIISampler
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return genetic(population_size=options.population, seed=seed)
    kind = WeighedTPE if options.name == "cost_aware" else TPESampler
    startup = options.startup + rejected
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # `group`: conditional parameters need it
        return kind(seed=seed, n_startup_trials=startup, multivariate=True, group=True, constant_liar=True)


def given(values: Mapping[str, Any], sampler: BaseSampler) -> BaseSampler:
    """Return ``sampler`` with the parameters in ``values`` decided."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return PartialFixedSampler(dict(values), sampler)


def bounded(trials: Sequence[PastTrial], *, maximize: bool, further: Sequence[Objective] = ()) -> Sequence[PastTrial]:
    """Return all ``trials``, or of more than ``KEPT``: the unfinished, the best ``KEPT_BEST`` and the newest.

    The best are those with the best objective, or, with ``further`` objectives, those on the front.
    """
    if len(trials) <= KEPT:
        return trials
    sign = -1.0 if maximize else 1.0
    done = [trial for trial in trials if is_complete(trial) and trial.is_feasible and trial.value is not None]
    if further:
        points = [values(trial, further) for trial in done]
        places = pareto.front(points, [maximize, *(one.maximize for one in further)])
        done = [done[index] for index in places]
    ranked = [(sign * trial.value, trial.number) for trial in done if trial.value is not None]
    chosen = {number for _, number in heapq.nsmallest(KEPT_BEST, ranked)}
    chosen |= {trial.number for trial in trials if not trial.state.is_finished}
    for trial in reversed(trials):
        if len(chosen) >= KEPT:
            break
        chosen.add(trial.number)
    return [trial for trial in trials if trial.number in chosen]


def values(trial: PastTrial, further: Sequence[Objective]) -> tuple[float, ...]:
    """Return the values of all objectives of a complete trial; the worst possible for a missing one."""
    first = math.nan if trial.value is None else trial.value
    return first, *(trial.objectives.get(one.name, -math.inf if one.maximize else math.inf) for one in further)


def teaches(trial: PastTrial) -> bool:
    """Return whether the sampler can learn from ``trial``: not from failures that its candidate did not cause."""
    if trial.state is TrialState.FAILED and trial.failure_kind not in _BAD:
        return False
    return bool(trial.params) and trial.state is not TrialState.WAITING


def is_complete(trial: PastTrial) -> bool:
    return trial.state is TrialState.COMPLETE and trial.value is not None


def frozen(past: PastTrial, further: Sequence[Objective] = ()) -> FrozenTrial:
    """Return a trial in the form of Optuna's samplers; a failure caused by its candidate as the worst pruned one.

    Its number is the next one: 0 is the new trial's, whose namesake TPE would leave out. In a study of several
    objectives pruned trials come without their last value: TPE orders them by a single direction and would fail.
    """
    state = OptunaState.COMPLETE if is_complete(past) else OptunaState.PRUNED
    reported = past.state is TrialState.PRUNED and past.last_epoch is not None and not further
    now = datetime.now()  # Optuna's times are local and naive
    return FrozenTrial(
        number=past.number + 1,
        state=OptunaState.RUNNING if past.state is TrialState.RUNNING else state,
        value=None,
        datetime_start=now,
        datetime_complete=None if past.state is TrialState.RUNNING else now,
        params=dict(past.params),
        distributions={name: distribution(text) for name, text in past.distributions.items()},
        user_attrs={},
        system_attrs={**_FIRST_GENERATION, **past.marks, **constraint_attrs(past.constraints)},
        intermediate_values=dict([past.last_epoch]) if reported and past.last_epoch else {},
        trial_id=past.number + 1,  # genetic samplers know parents by it
        values=values(past, further) if is_complete(past) else None,
    )


def refused(rejected: Rejected, number: int) -> FrozenTrial:
    """Return an untrained candidate in the form of Optuna's samplers: pruned, with the constraints it breaks."""
    trial = optuna.trial.create_trial(
        state=OptunaState.PRUNED,
        params=dict(rejected.params),
        distributions={name: distribution(text) for name, text in rejected.distributions.items()},
        system_attrs=constraint_attrs(rejected.constraints),
    )
    trial.number = number + 1
    return trial


def constraint_attrs(constraints: Mapping[str, float]) -> dict[str, float]:
    """Return constraints as ``optuna.trial.Trial.set_constraint`` stores them: above 0 is broken."""
    return {f"constraints:{name}": excess for name, excess in constraints.items()}


def past(trial: FrozenTrial, further: Sequence[Objective] = ()) -> PastTrial:
    """Return a trial of Optuna's storage in the form of our history."""
    states = {OptunaState.COMPLETE: TrialState.COMPLETE, OptunaState.PRUNED: TrialState.PRUNED}
    states |= {OptunaState.RUNNING: TrialState.RUNNING, OptunaState.WAITING: TrialState.WAITING}
    return PastTrial(
        number=trial.number,
        state=states.get(trial.state, TrialState.FAILED),
        value=trial.values[0] if trial.state is OptunaState.COMPLETE else None,
        objectives=dict(zip((one.name for one in further), (trial.values or [])[1:], strict=False)),
        constraints=trial.constraints,
        marks={name: value for name, value in trial.system_attrs.items() if name.endswith(":generation")},
        params=trial.params,
        distributions={name: distribution_to_json(space) for name, space in trial.distributions.items()},
        last_epoch=max(trial.intermediate_values.items(), default=None),
    )


@lru_cache(maxsize=4096)
def distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)
