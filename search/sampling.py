"""What proposes candidates: samplers over a study's history, cut to what they can use. Part of the door to Optuna."""

from __future__ import annotations

import heapq
import math
import warnings
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from search.records import PastTrial, TrialState

KEPT_BEST, KEPT = 50, 500
"""Trials that TPE is shown of a longer history: its best ones and then the newest, so many in all.

TPE models at most 25 trials as the good ones and gives the older of the rest little weight, so that what it
proposes hardly changes, but reading ten thousand takes it a second for every proposal.
"""
_BAD = ("nan", "memory")
"""Failures that are the candidate's own doing: TPE is told to stay away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerOptions:
    """How candidates are proposed.

    Attributes:
        name: ``tpe``, Optuna's tree-structured Parzen estimator; ``cost_aware``, of several such proposals
            the one with the most expected improvement per predicted second; or ``random``.
        startup: trials drawn at random before TPE begins to learn from results.
        proposals: among which ``cost_aware`` chooses.
    """

    name: Literal["tpe", "cost_aware", "random"] = "tpe"
    startup: int = 8
    proposals: int = 8
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if self.startup < 1:
            raise ValueError(f"startup must be at least 1 trial, got {self.startup}")
        if self.proposals < 1:
            raise ValueError(f"proposals must be at least 1, got {self.proposals}")


class WeighedTPE(TPESampler):
    """TPE that remembers how much better than others the values it has drawn promise to be.

    Optuna offers no way to ask for that: this overrides the method in which it compares its draws. A test holds
    that it is still called.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._log_ratio = 0.0
        self._good_share = 0.1

    def _compute_acquisition_func(self, *args: Any, **kwargs: Any) -> Any:
        found = super()._compute_acquisition_func(*args, **kwargs)
        self._log_ratio += float(found.max())  # the draw with the largest value is the one that is taken
        return found

    def improvement(self) -> float:
        return 1.0 / (self._good_share + (1 - self._good_share) * math.exp(min(-self._log_ratio, 700.0)))


class View(InMemoryStorage):
    """A storage for one proposal: the trials behind it, read only, and the new one."""

    def __init__(self, behind: Sequence[FrozenTrial]) -> None:
        super().__init__()
        self._behind = behind

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[OptunaState] | None = None
    ) -> list[FrozenTrial]:
        own = super().get_all_trials(study_id, deepcopy=deepcopy, states=states)
        return own + [trial for trial in self._behind if states is None or trial.state in states]


class Fixed(BaseSampler):
    """Gives the queued values; whatever else is asked for is drawn at random."""

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


def make(options: SamplerOptions, seed: int) -> BaseSampler:
    """Return the sampler of ``options``, its random numbers drawn from ``seed``."""
    if options.name == "random":
        return RandomSampler(seed=seed)
    kind = WeighedTPE if options.name == "cost_aware" else TPESampler
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # `group`: conditional parameters need it
        return kind(seed=seed, n_startup_trials=options.startup, multivariate=True, group=True, constant_liar=True)


def given(values: Mapping[str, Any], sampler: BaseSampler) -> BaseSampler:
    """Return ``sampler`` with the parameters in ``values`` decided."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return PartialFixedSampler(dict(values), sampler)


def bounded(trials: Sequence[PastTrial], *, maximize: bool) -> Sequence[PastTrial]:
    """Return all ``trials``, or of more than ``KEPT`` the unfinished, the best ``KEPT_BEST`` and the newest ones."""
    if len(trials) <= KEPT:
        return trials
    sign = -1.0 if maximize else 1.0
    done = [(sign * trial.value, trial.number) for trial in trials if is_complete(trial) and trial.value is not None]
    chosen = {number for _, number in heapq.nsmallest(KEPT_BEST, done)}
    chosen |= {trial.number for trial in trials if not trial.state.is_finished}
    for trial in reversed(trials):
        if len(chosen) >= KEPT:
            break
        chosen.add(trial.number)
    return [trial for trial in trials if trial.number in chosen]


def teaches(trial: PastTrial) -> bool:
    """Return whether there is something to learn from ``trial``: from other failures than its own there is not."""
    if trial.state is TrialState.FAILED and trial.failure_kind not in _BAD:
        return False
    return bool(trial.params) and trial.state is not TrialState.WAITING


def is_complete(trial: PastTrial) -> bool:
    return trial.state is TrialState.COMPLETE and trial.value is not None


def frozen(past: PastTrial) -> FrozenTrial:
    """Return a trial as Optuna's samplers take it; a failure of the candidate's own doing as the worst pruned one.

    Its number is the next one: 0 is the new trial's, whose namesake TPE would leave out.
    """
    state = OptunaState.COMPLETE if is_complete(past) else OptunaState.PRUNED
    reported = past.state is TrialState.PRUNED and past.last_epoch is not None
    found = optuna.trial.create_trial(
        state=OptunaState.RUNNING if past.state is TrialState.RUNNING else state,
        params=dict(past.params),
        distributions={name: distribution(text) for name, text in past.distributions.items()},
        value=past.value if is_complete(past) else None,
        intermediate_values=dict([past.last_epoch]) if reported and past.last_epoch else {},
    )
    found.number = past.number + 1
    return found


def past(trial: FrozenTrial) -> PastTrial:
    """Return a trial of Optuna's storage as our history has it."""
    states = {OptunaState.COMPLETE: TrialState.COMPLETE, OptunaState.PRUNED: TrialState.PRUNED}
    states |= {OptunaState.RUNNING: TrialState.RUNNING, OptunaState.WAITING: TrialState.WAITING}
    return PastTrial(
        number=trial.number,
        state=states.get(trial.state, TrialState.FAILED),
        value=trial.value if trial.state is OptunaState.COMPLETE else None,
        params=trial.params,
        distributions={name: distribution_to_json(space) for name, space in trial.distributions.items()},
        last_epoch=max(trial.intermediate_values.items(), default=None),
    )


@lru_cache(maxsize=4096)
def distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)
