"""The use of Optuna's studies: storage, sampling, ask and tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import optuna
from optuna.distributions import distribution_to_json
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial
from optuna.trial import TrialState as OptunaState

from search.records.study import Objective, PastTrial, Rejected, TrialState
from search.sampling import samplers
from search.sampling.optuna_storage import release
from search.sampling.samplers import KEPT_REJECTED, SamplerOptions, View, WeighedTPE, bounded, teaches
from spaces.decisions._prior import Prior

__all__ = ["SamplerOptions", "Sampling", "data_seed", "delete", "trial_seed"]

optuna.logging.set_verbosity(optuna.logging.WARNING)

_STATES = {
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
}


class OptunaSuggest:
    """Draws the values of a candidate from an Optuna trial."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def integer(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False, prior: Prior | None = None
    ) -> int:
        return self._trial.suggest_int(name, low, high, step=step, log=log)

    def real(self, name: str, low: float, high: float, *, log: bool = False, prior: Prior | None = None) -> float:
        return self._trial.suggest_float(name, low, high, log=log)

    def choice(self, name: str, choices: Sequence[Any], *, prior: Prior | None = None) -> Any:
        return self._trial.suggest_categorical(name, choices)


@dataclass(frozen=True, slots=True)
class Asked:
    """A proposal: values are drawn from ``suggest``; nothing is stored until it is handed to ``Sampling.open``."""

    suggest: OptunaSuggest
    _trial: Trial = field(repr=False)
    _sampler: BaseSampler = field(repr=False)
    _drawn: Trial | None = field(default=None, repr=False)
    """The trial that the sampler drew, if ``_trial`` holds the settled values."""

    @property
    def params(self) -> Mapping[str, Any]:
        return dict(self._trial.params)

    @property
    def distributions(self) -> Mapping[str, str]:
        return {name: distribution_to_json(space) for name, space in self._trial.distributions.items()}

    @property
    def marks(self) -> Mapping[str, Any]:
        """The sampler's notes on the trial: a genetic algorithm's generation."""
        drawn = self._drawn or self._trial
        # A trial's own ``system_attrs`` is deprecated, and Optuna gives its id to storages alone.
        attributes = drawn.storage.get_trial_system_attrs(drawn._trial_id)
        return {name: value for name, value in attributes.items() if name.endswith(":generation")}

    @property
    def improvement(self) -> float:
        """TPE's expected improvement of the values drawn so far, up to a factor that all proposals share.

        With ``l`` and ``g`` the densities of good and of other trials and ``gamma`` the share of good ones it is
        ``1 / (gamma + (1 - gamma) g / l)`` (Bergstra 2011, https://papers.nips.cc/paper/4443). 1 while nothing
        has been learnt.
        """
        sampler = self._sampler
        return sampler.improvement() if isinstance(sampler, WeighedTPE) else 1.0


class Sampling:
    """Asks Optuna for candidates of one study and reports their results to it.

    The sampler is seeded for each trial by the study's seed and the trial's number, so that a study
    that was interrupted and continued proposes what an undisturbed one would.

    What it learns from is ``history``; Optuna's own tables are written (a trial in one transaction when it is
    opened, one more when it ends), so that Optuna's dashboard and API see the study, but not read.

    Args:
        further: the objectives besides the first.
        history: every trial of the study so far; the ones in Optuna's storage by default, which is slower.
    """

    def __init__(
        self,
        storage: BaseStorage,
        name: str,
        *,
        maximize: bool,
        options: SamplerOptions,
        seed: int,
        further: Sequence[Objective] = (),
        history: Callable[[], Sequence[PastTrial]] | None = None,
    ) -> None:
        ups = [maximize, *(one.maximize for one in further)]
        self._directions = [StudyDirection.MAXIMIZE if up else StudyDirection.MINIMIZE for up in ups]
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=self._directions,
            load_if_exists=True,
            sampler=RandomSampler(seed=seed),
        )
        self._storage = storage
        self._study_id = storage.get_study_id_from_name(study.study_name)
        self._maximize = maximize
        self._further = tuple(further)
        self._options = options
        self._seed = seed
        self._history = history
        self._frozen: dict[int, FrozenTrial] = {}
        self._ids: dict[int, int] = {}
        self._remembered: dict[str, Any] = {}

    def seed_of(self, number: int, attempt: int = 0) -> int:
        """Return the seed of the draws for trial ``number`` at an ``attempt``."""
        seed = trial_seed(self._seed, number)
        return trial_seed(seed, attempt) if attempt else seed

    def ask(
        self,
        number: int,
        queued: Mapping[str, Any] | None = None,
        *,
        beside: Mapping[str, Any] | None = None,
        attempt: int = 0,
        rejected: Sequence[Rejected] = (),
    ) -> Asked:
        """Return a proposal for our trial ``number``, the same one for the same ``attempt``.

        ``queued`` and ``beside`` give values that are already decided. The rest is drawn at random with the
        former, and proposed by the sampler, given these values, with the latter. ``rejected`` are candidates that
        have been drawn for this trial and break a constraint.
        """
        seed = self.seed_of(number, attempt)
        learns = queued is None and self._options.name != "random"
        behind, refused = (self._behind(), self._refused()) if learns else ([], [])
        sampler = (
            samplers.QueuedValues(queued, seed)
            if queued is not None
            else samplers.make(self._options, seed, len(refused))
        )
        refused += [samplers.refused(one, number) for one in rejected]
        view = View([*behind, *refused] if learns else (), self._remembered)
        if beside is not None:
            sampler = samplers.given(beside, sampler)
        study = optuna.create_study(storage=view, directions=self._directions, sampler=sampler)
        trial = study.ask()
        return Asked(OptunaSuggest(trial), trial, sampler)

    def settled(self, asked: Asked, number: int, params: Mapping[str, Any]) -> Asked:
        """Return what was ``asked`` for trial ``number`` with the parameters that it settled to.

        Only these are stored and learnt from: values without effect would teach the sampler noise.
        """
        return replace(self.ask(number, params), _sampler=asked._sampler, _drawn=asked._trial)

    def open(self, asked: Asked) -> int:
        """Enter the proposal into Optuna's tables as a running trial and return its number there."""
        template = optuna.trial.create_trial(
            state=OptunaState.RUNNING,
            params=asked._trial.params,
            distributions=asked._trial.distributions,
            system_attrs=dict(asked.marks),
        )
        trial_id = self._storage.create_new_trial(self._study_id, template)
        number = self._storage.get_trial_number_from_id(trial_id)
        self._ids[number] = trial_id
        return number

    def reject(self, asked: Asked, constraints: Mapping[str, float]) -> Rejected:
        """Enter a proposal that breaks a constraint into Optuna's tables, as a pruned trial that says so.

        Returns:
            The rejection for ``ask`` and the history, so that the sampler learns to avoid it.
        """
        template = optuna.trial.create_trial(
            state=OptunaState.PRUNED,
            params=asked._trial.params,
            distributions=asked._trial.distributions,
            system_attrs=samplers.constraint_attrs(constraints),
        )
        self._storage.create_new_trial(self._study_id, template)
        return Rejected(asked.params, asked.distributions, dict(constraints))

    def tell(
        self,
        number: int,
        state: TrialState,
        value: float | None,
        last_epoch: tuple[int, float] | None,
        *,
        objectives: Mapping[str, float] | None = None,
        constraints: Mapping[str, float] | None = None,
    ) -> None:
        """Finish Optuna's trial ``number``; telling it twice changes nothing.

        Args:
            last_epoch: epoch and value, which is what TPE learns from a pruned trial of a single objective.
            objectives: values of the further objectives, by name.
            constraints: excesses, above 0 where a constraint is broken.
        """
        # The worker that opened the trial may have died: everything goes by its number.
        trial_id = self._ids.pop(number, None)
        if trial_id is None:
            trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
        past = PastTrial(number, state, value, objectives=objectives or {})
        values = samplers.values(past, self._further)
        known = state
        if state is TrialState.COMPLETE and not all(math.isfinite(one) for one in values):
            known = TrialState.FAILED
        try:
            for name, excess in samplers.constraint_attrs(constraints or {}).items():
                self._storage.set_trial_system_attr(trial_id, name, excess)
            if known is TrialState.PRUNED and last_epoch is not None and not self._further:
                self._storage.set_trial_intermediate_value(trial_id, *last_epoch)
            self._storage.set_trial_state_values(
                trial_id, _STATES[known], values if known is TrialState.COMPLETE else None
            )
        except UpdateFinishedTrialError:
            return

    def unfinished(self) -> tuple[int, ...]:
        """Return the numbers of the trials that are still running in Optuna."""
        trials = self._storage.get_all_trials(self._study_id, deepcopy=False, states=(OptunaState.RUNNING,))
        return tuple(trial.number for trial in trials)

    def close_orphans(self, known: Container[int], older_than_s: float) -> None:
        """Fail the trials that have been running in Optuna for that long although none of ours, ``known``, is theirs.

        They were opened by a worker that died, or lost the database, before it could record their number.
        """
        before = datetime.now() - timedelta(seconds=older_than_s)  # Optuna's times are local and naive
        for trial in self._storage.get_all_trials(self._study_id, deepcopy=False, states=(OptunaState.RUNNING,)):
            if trial.number not in known and trial.datetime_start is not None and trial.datetime_start <= before:
                self.tell(trial.number, TrialState.FAILED, None, None)

    def close(self) -> None:
        """Give the storage's connections back."""
        release(self._storage)

    def _past(self) -> Sequence[PastTrial]:
        if self._history is not None:
            return self._history()
        stored = self._storage.get_all_trials(self._study_id, deepcopy=False)
        return [samplers.past(trial, self._further) for trial in stored]

    def _behind(self) -> list[FrozenTrial]:
        """Return the history in the form that samplers take: all of it, or for TPE what it can use."""
        taught = [trial for trial in self._past() if teaches(trial)]
        if not self._options.is_genetic:
            taught = list(bounded(taught, maximize=self._maximize, further=self._further))
        trials = []
        for past in taught:
            known = self._frozen.get(past.number) or samplers.frozen(past, self._further)
            if past.state.is_finished:
                self._frozen[past.number] = known
            trials.append(known)
        return trials

    def _refused(self) -> list[FrozenTrial]:
        """Return the newest candidates that earlier trials rejected, in the form that samplers take."""
        refused = [(one, past.number) for past in self._past() for one in past.rejected]
        return [samplers.refused(one, number) for one, number in refused[-KEPT_REJECTED:]]


def delete(storage: BaseStorage, name: str) -> None:
    """Remove Optuna's rows of the study ``name``; a study Optuna never saw is no error."""
    try:
        optuna.delete_study(study_name=name, storage=storage)
    except KeyError:
        return


def data_seed(seed: int, fingerprint: str) -> int:
    """Return the seed of a study's draws, which depends on the data, so that no draw is bad luck for all studies."""
    return int.from_bytes(sha256(f"{seed}:{fingerprint}".encode()).digest()[:4]) >> 1


def trial_seed(seed: int, number: int) -> int:
    """Return the seed of trial ``number``: 31 bits, independent for neighbouring numbers."""
    return int.from_bytes(sha256(f"{seed}:{number}".encode()).digest()[:4]) >> 1
