"""The one door to Optuna: storage, sampling, ask and tell, importances."""

from __future__ import annotations

import warnings
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, ClassVar, Literal

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial
from optuna.trial import TrialState as OptunaState

from search.records import TrialRecord, TrialState

optuna.logging.set_verbosity(optuna.logging.WARNING)

_STATES = {
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerOptions:
    """How candidates are proposed.

    Attributes:
        name: ``tpe``, Optuna's tree-structured Parzen estimator, or ``random``.
        startup: trials drawn at random before TPE begins to learn from results.
    """

    name: Literal["tpe", "random"] = "tpe"
    startup: int = 8
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if self.startup < 1:
            raise ValueError(f"startup must be at least 1 trial, got {self.startup}")


class OptunaSuggest:
    """Draws the values of a candidate from an Optuna trial."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def integer(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return self._trial.suggest_int(name, low, high, step=step, log=log)

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return self._trial.suggest_float(name, low, high, log=log)

    def choice(self, name: str, choices: Sequence[Any]) -> Any:
        return self._trial.suggest_categorical(name, choices)


@dataclass(frozen=True, slots=True)
class Asked:
    """A trial that Optuna has opened: its number there, and where its values come from."""

    number: int
    suggest: OptunaSuggest
    _trial: Trial = field(repr=False)

    @property
    def params(self) -> Mapping[str, Any]:
        return dict(self._trial.params)

    @property
    def distributions(self) -> Mapping[str, str]:
        return {name: distribution_to_json(space) for name, space in self._trial.distributions.items()}


class _FixedSampler(BaseSampler):
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


class Sampling:
    """Asks Optuna for candidates of one study and tells it how they did.

    The sampler is seeded for each trial by the study's seed and the trial's number, so that a study
    that was interrupted and continued proposes what an undisturbed one would.
    """

    def __init__(self, storage: BaseStorage, name: str, *, maximize: bool, options: SamplerOptions, seed: int) -> None:
        direction = StudyDirection.MAXIMIZE if maximize else StudyDirection.MINIMIZE
        self._storage = storage
        self._study = optuna.create_study(
            storage=storage, study_name=name, direction=direction, load_if_exists=True, sampler=RandomSampler(seed=seed)
        )
        self._options = options
        self._seed = seed

    def ask(self, number: int, queued: Mapping[str, Any] | None = None) -> Asked:
        """Open a trial for our trial ``number``; ``queued`` gives values that are already decided."""
        seed = trial_seed(self._seed, number)
        self._study.sampler = _FixedSampler(queued, seed) if queued is not None else self._sampler(seed)
        trial = self._study.ask()
        return Asked(trial.number, OptunaSuggest(trial), trial)

    def tell(self, number: int, state: TrialState, value: float | None, last_epoch: tuple[int, float] | None) -> None:
        """Finish Optuna's trial ``number``; telling it twice changes nothing.

        ``last_epoch`` (epoch, value) is what TPE learns from a pruned trial.
        """
        # The Trial object of the ask may have died with its worker: everything goes by its number.
        study_id = self._storage.get_study_id_from_name(self._study.study_name)
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(study_id, number)
        if self._storage.get_trial(trial_id).state.is_finished():
            return
        try:
            if state is TrialState.PRUNED and last_epoch is not None:
                self._storage.set_trial_intermediate_value(trial_id, *last_epoch)
            values = value if state is TrialState.COMPLETE else None
            self._study.tell(number, values, state=_STATES[state], skip_if_finished=True)
        except UpdateFinishedTrialError:
            return  # told by a call whose answer was lost, or by another worker

    def unfinished(self) -> tuple[int, ...]:
        """Return the numbers of the trials that Optuna holds open."""
        return tuple(trial.number for trial in self._study.get_trials(deepcopy=False, states=(OptunaState.RUNNING,)))

    def close_orphans(self, known: Container[int], older_than_s: float) -> None:
        """Fail the trials that Optuna has held open for so long although none of ours, ``known``, is theirs.

        They were opened by a worker that died, or lost the database, before it could write down their number.
        """
        before = datetime.now() - timedelta(seconds=older_than_s)  # Optuna's times are local and naive
        for trial in self._study.get_trials(deepcopy=False, states=(OptunaState.RUNNING,)):
            if trial.number not in known and trial.datetime_start is not None and trial.datetime_start <= before:
                self.tell(trial.number, TrialState.FAILED, None, None)

    def close(self) -> None:
        """Give the storage's connections back."""
        self._storage.remove_session()
        for owner, release in ((self._storage, "close"), (getattr(self._storage, "engine", None), "dispose")):
            getattr(owner, release, lambda: None)()

    def _sampler(self, seed: int) -> BaseSampler:
        if self._options.name == "random":
            return RandomSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # `group`: conditional parameters need it
            return TPESampler(
                seed=seed, n_startup_trials=self._options.startup, multivariate=True, group=True, constant_liar=True
            )


def delete(storage: BaseStorage, name: str) -> None:
    """Remove Optuna's rows of the study ``name``; a study Optuna never saw is no error."""
    try:
        optuna.delete_study(study_name=name, storage=storage)
    except KeyError:
        return


def trial_seed(seed: int, number: int) -> int:
    """Return the seed of trial ``number``: 31 bits, independent for neighbouring numbers."""
    return int.from_bytes(sha256(f"{seed}:{number}".encode()).digest()[:4]) >> 1


def importances(
    trials: Sequence[TrialRecord],
    *,
    maximize: bool = True,
    evaluator: Literal["ped_anova", "fanova"] = "ped_anova",
) -> dict[str, float]:
    """Return how much of the objective's variation each parameter explains, the largest first; sums to 1.

    PED-ANOVA (https://arxiv.org/abs/2304.10255) or fANOVA (https://proceedings.mlr.press/v32/hutter14.html)
    over the complete and the pruned trials: being pruned is a bad result too. A parameter that only some trials
    have counts by their share, else three trials with an L2 strength could outweigh all that the others show.
    Empty when there are fewer than four trials or no spread in their values.
    """
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    done = [trial for trial in trials if trial.state in ended and trial.value is not None and trial.params]
    if len(done) < 4 or len({trial.value for trial in done}) < 2:
        return {}
    study = optuna.create_study(storage=InMemoryStorage(), direction="maximize" if maximize else "minimize")
    study.add_trials([_frozen(trial) for trial in done])
    judge: BaseImportanceEvaluator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # experimental notes, and parameters that never varied
        judge = PedAnovaImportanceEvaluator() if evaluator == "ped_anova" else FanovaImportanceEvaluator(seed=0)
        shares = get_param_importances(study, evaluator=judge, normalize=False)
    weighed = {
        name: float(share) * sum(name in trial.params for trial in done) / len(done) for name, share in shares.items()
    }
    total = sum(weighed.values())
    ordered = sorted(weighed.items(), key=lambda item: -item[1])
    return {name: share / total for name, share in ordered} if total > 0 else {}


def _frozen(trial: TrialRecord) -> FrozenTrial:
    return optuna.trial.create_trial(
        params=dict(trial.params),
        distributions={name: json_to_distribution(text) for name, text in trial.distributions.items()},
        value=trial.value,
    )
