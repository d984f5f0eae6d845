"""One trial from its claim to its end: ask, sample, build, fit, record, tell."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from search.artifacts import Shelf, resuming
from search.errors import TrialError
from search.laboratory import Laboratory, versions
from search.records import EpochRecord, TrialState, Verdict
from search.store import fitted, reading, writing
from search.store.connection import Engine
from search.store.curves import Curves
from search.store.leases import Claim
from search.store.reading import Progress
from search.study import Sampling, trial_seed
from search.training import checkpoint as files
from search.training import memory
from search.training.fit import Outcome, fit
from spaces.build import Network
from spaces.candidate import Candidate


class Observer(Protocol):
    """Somebody who watches trials run: a progress bar, a log, a test."""

    def study_opened(self, metric: str, *, maximize: bool, progress: Progress) -> None:
        """The study is in the store; ``progress`` is how far it was when this run began."""

    def trial_started(self, number: int, words: str, epochs: int) -> None:
        """A trial begins to train."""

    def epoch_done(self, number: int, epoch: EpochRecord) -> None:
        """An epoch has ended and is in the store."""

    def trial_ended(self, number: int, state: TrialState, value: float | None, ended: str) -> None:
        """A trial has ended, or was handed back (``WAITING``)."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where trials run: what they share, the store, the sampler, who watches.

    Attributes:
        folder: where logs and pages go, one folder a study.
        shelf: where checkpoints go; ``key`` tells those of one study from another's.
        leave: true once the worker has been told to go.
        curves: of all trials, for the pruner.
        pause: true once it shall leave when the running epoch has ended.
    """

    laboratory: Laboratory
    engine: Engine
    sampling: Sampling
    folder: Path
    observer: Observer
    leave: Callable[[], bool]
    shelf: Shelf
    key: str
    curves: Curves
    pause: Callable[[], bool] = lambda: False


def run(bench: Bench, claim: Claim) -> TrialState:
    """Run the claimed trial and return the state it is left in; ``WAITING`` when it has to be handed back.

    Raises:
        TrialError: this trial cannot go on; the caller records why.
        LeaseLostError: another worker has taken it over; nothing more was written.
    """
    begin = time.monotonic()
    laboratory, number = bench.laboratory, claim.number
    candidate, optuna_number = _candidate(bench, claim)
    seed = trial_seed(laboratory.spec.search.seed, number)
    network = laboratory.build(candidate, seed)
    writing.record_size(bench.engine, claim, laboratory.size(network))
    bench.observer.trial_started(number, laboratory.space.words(candidate), laboratory.spec.training.epochs)
    watch = _Watch(bench, claim)
    rolling = _resuming(bench, claim)
    course = laboratory.course(candidate, seed, watch.on_epoch, bench.leave, rolling)
    structure, device = fitted.structure_key(candidate.to_json()), memory.kind_of(laboratory.precision.device)
    limit = fitted.recall(bench.engine, laboratory.spec.name, structure, device)
    outcome = fit(network, replace(course, micro_batch=limit))
    if outcome.micro_batch is not None and outcome.micro_batch != limit:
        fitted.remember(bench.engine, laboratory.spec.name, structure, device, outcome.micro_batch)
    if outcome.verdict is Verdict.PAUSE:
        return TrialState.WAITING
    ending = _Ending(candidate, network, outcome, watch.reason, time.monotonic() - begin)
    state = _finish(bench, claim, optuna_number, ending)
    rolling.remove()
    return state


def _candidate(bench: Bench, claim: Claim) -> tuple[Candidate, int]:
    """Return the claim's candidate: the one a former attempt left, the baseline for trial 0, else a new one."""
    if claim.candidate is not None and claim.optuna_number is not None:
        return Candidate.from_json(claim.candidate), claim.optuna_number
    laboratory, number = bench.laboratory, claim.number
    space = laboratory.space
    is_baseline = number == 0
    if claim.candidate is not None:  # failed, and put back by hand: Optuna's trial of it has ended
        candidate = Candidate.from_json(claim.candidate)
        asked = bench.sampling.ask(number, claim.params or {})
        if claim.params:
            space.sample(asked.suggest)
    elif is_baseline:
        candidate = space.baseline()
        params = space.params(candidate)
        asked = bench.sampling.ask(number, params or {})
        if params is not None:
            space.sample(asked.suggest)  # tells Optuna the plain recipe's parameters, where the space holds them
    else:
        asked = bench.sampling.ask(number)
        candidate = space.sample(asked.suggest)
    writing.record_candidate(
        bench.engine,
        claim,
        optuna_number=asked.number,
        params=asked.params,
        distributions=asked.distributions,
        candidate=candidate.to_json(),
        words=space.words(candidate),
        is_baseline=is_baseline,
        seed=trial_seed(laboratory.spec.search.seed, number),
        versions=versions(),
        dataset_fingerprint=laboratory.dataset.fingerprint,
    )
    return candidate, asked.number


@dataclass(slots=True)
class _Watch:
    """Takes every epoch to the store and asks the pruner."""

    bench: Bench
    claim: Claim
    reason: str = ""

    def on_epoch(self, record: EpochRecord) -> Verdict:
        bench, spec = self.bench, self.bench.laboratory.spec
        writing.record_epochs(bench.engine, self.claim, (record,))
        bench.observer.epoch_done(self.claim.number, record)
        value = record.metrics[spec.objective]
        if not math.isfinite(value):
            raise TrialError(f"{spec.objective} is {value} after epoch {record.epoch}", "nan")
        if record.epoch < spec.training.epochs:
            verdict = self._judged(record.epoch)
            if verdict is not Verdict.CONTINUE:
                return verdict
        return Verdict.PAUSE if bench.leave() or bench.pause() else Verdict.CONTINUE

    def _judged(self, epoch: int) -> Verdict:
        """Return whether the trial ends here: weaker than the others, or nothing changes any more."""
        spec, number = self.bench.laboratory.spec, self.claim.number
        same, is_pruning = spec.faults.constant_epochs, number > 0 and spec.search.pruner.name != "none"
        if not is_pruning and not 0 < same <= epoch:
            return Verdict.CONTINUE
        curves = dict(self.bench.curves.look())
        own = curves.pop(number)
        if is_pruning:
            verdict, self.reason = spec.search.pruner.verdict(own, curves, spec.maximize)
            if verdict is Verdict.PRUNE:
                return verdict
        if 0 < same <= len(own) and len(set(own[-same:])) == 1:
            self.reason = f"{spec.objective} has been {own[-1]:.4g} for {same} epochs"
            return Verdict.STOP
        return Verdict.CONTINUE


@dataclass(frozen=True, slots=True)
class _Ending:
    candidate: Candidate
    network: Network
    outcome: Outcome
    reason: str
    seconds: float


def _finish(bench: Bench, claim: Claim, optuna_number: int, ending: _Ending) -> TrialState:
    laboratory, number, outcome = bench.laboratory, claim.number, ending.outcome
    spec = laboratory.spec
    pruned = outcome.verdict is Verdict.PRUNE
    state = TrialState.PRUNED if pruned else TrialState.COMPLETE
    last = outcome.epochs[-1]
    best = outcome.epochs[(outcome.best_epoch or last.epoch) - 1]
    value = best.metrics[spec.objective]
    path = None
    if not pruned and _is_worth_keeping(bench, value):
        kept = laboratory.checkpoint(ending.candidate, ending.network, outcome)
        path = files.put(bench.shelf, f"trial-{number:05d}", kept)
    ended = f"ran all {last.epoch} epochs"
    if ending.reason:
        ended = f"{'pruned' if pruned else 'ended'} after epoch {last.epoch}: {ending.reason}"
    writing.finish_trial(
        bench.engine,
        claim,
        state=state,
        value=value,
        best_epoch=best.epoch,
        evaluation=outcome.evaluation,
        ended=ended,
        seconds=ending.seconds,
        checkpoint=path,
        extras={"device": str(laboratory.precision.device), "micro_batch": outcome.micro_batch},
    )
    bench.sampling.tell(optuna_number, state, value, (last.epoch, last.metrics[spec.objective]))
    if path is not None:
        remove_surplus(bench)
    bench.observer.trial_ended(number, state, value, ended)
    return state


def _resuming(bench: Bench, claim: Claim) -> files.Rolling:
    """Return where the trial's checkpoints for resuming lie; the store knows their names."""
    return files.Rolling(
        bench.shelf,
        resuming(bench.key, claim.number),
        claim.resume,
        lambda names: writing.record_resume(bench.engine, claim, names),
    )


def _is_worth_keeping(bench: Bench, value: float) -> bool:
    spec = bench.laboratory.spec
    kept = reading.best_values(bench.engine, spec.name, spec.keep_checkpoints)
    return len(kept) < spec.keep_checkpoints or (value > min(kept) if spec.maximize else value < max(kept))


def remove_surplus(bench: Bench) -> None:
    """Remove the checkpoints of all trials but the best ``keep_checkpoints``."""
    spec = bench.laboratory.spec
    for number, checkpoint in reading.kept_checkpoints(bench.engine, spec.name)[spec.keep_checkpoints :]:
        writing.forget_checkpoint(bench.engine, spec.name, number)
        bench.shelf.remove(checkpoint)
