"""One trial from its claim to its end: ask, sample, build, fit, record, tell."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from search import appraisal, few_labels, pruning, quantising
from search.artifacts import Shelf, remove_checkpoint, resuming
from search.data.sample import Split
from search.errors import TrialError
from search.laboratory import Laboratory, versions
from search.objectives import QUANTISED
from search.proposal import Proposal, Proposer
from search.pruning import Curves
from search.records import EpochRecord, Size, TrialState, Verdict, standing
from search.store import fitted, reading, writing
from search.store.connection import Engine
from search.store.history import History
from search.store.leases import Claim
from search.store.reading import Progress
from search.study import Sampling, trial_seed
from search.training import checkpoint as files
from search.training import memory
from search.training.fit import Course, Outcome, fit
from spaces.build import Network
from spaces.candidate import Candidate


class Observer(Protocol):
    """Somebody who watches trials run: a progress bar, a log, a test."""

    def study_opened(self, metric: str, *, maximize: bool, progress: Progress) -> None:
        """The study is in the store; ``progress`` is how far it was when this run began."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """Images are being decoded, once for all trials: ``done`` of ``total``; ``what`` says which."""

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
        history: what the study has behind it, kept up to date; ``curves`` is its part that pruners see.
        folder: where logs and pages go, one folder a study.
        leave: true once the worker has been told to go.
        shelf: where checkpoints go; ``key`` tells those of one study from another's.
        pause: true once it shall leave when the running epoch has ended.
    """

    laboratory: Laboratory
    engine: Engine
    sampling: Sampling
    history: History
    curves: Curves
    folder: Path
    observer: Observer
    leave: Callable[[], bool]
    shelf: Shelf
    key: str
    pause: Callable[[], bool] = lambda: False


def run(bench: Bench, claim: Claim) -> TrialState:
    """Run the claimed trial and return the state it is left in; ``WAITING`` when it has to be handed back.

    Raises:
        TrialError: this trial cannot go on; the caller records why.
        LeaseLostError: another worker has taken it over; nothing more was written.
    """
    begin = time.monotonic()
    return train(bench, prepare(bench, claim), begin)


def train(bench: Bench, prepared: Prepared, begin: float) -> TrialState:
    """Train what is prepared, alone, and store what came of it; its seconds count from ``begin`` (monotonic)."""
    outcome = fit(prepared.network, prepared.course)
    return finish(bench, prepared, outcome, time.monotonic() - begin)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A trial that is in the store and whose network is built: ready to train."""

    claim: Claim
    candidate: Candidate
    optuna_number: int
    network: Network
    course: Course
    watch: Watch
    rolling: files.Rolling
    size: Size


def prepare(bench: Bench, claim: Claim, proposal: Proposal | None = None) -> Prepared:
    """Return the claimed trial ready to train: the candidate a former attempt left, ``proposal``, or a new one."""
    laboratory, number = bench.laboratory, claim.number
    candidate, optuna_number = _candidate(bench, claim, proposal)
    seed = trial_seed(laboratory.spec.search.seed, number)
    network = laboratory.build(candidate, seed)
    size = laboratory.size(network)
    writing.record_size(bench.engine, claim, size)
    bench.observer.trial_started(number, laboratory.space.words(candidate), laboratory.epochs(candidate))
    watch = Watch(bench, claim, laboratory.epochs(candidate))
    rolling = _resuming(bench, claim)
    course = laboratory.course(candidate, seed, watch.on_epoch, bench.leave, rolling, network)
    course = few_labels.adapted(laboratory, course, candidate, network)
    course = replace(course, micro_batch=fitted.recall(bench.engine, laboratory.spec.name, *_memory(bench, candidate)))
    return Prepared(claim, candidate, optuna_number, network, course, watch, rolling, size)


def _memory(bench: Bench, candidate: Candidate) -> tuple[str, str]:
    """Return the structure and the kind of device under which it is remembered how much fitted."""
    return fitted.structure_key(candidate.to_json()), memory.kind_of(bench.laboratory.precision.device)


def _candidate(bench: Bench, claim: Claim, proposal: Proposal | None) -> tuple[Candidate, int]:
    """Return the claim's candidate, and its number in Optuna."""
    if claim.candidate is not None and claim.optuna_number is not None:
        return Candidate.from_json(claim.candidate), claim.optuna_number
    laboratory = bench.laboratory
    proposal = proposal or _again(bench, claim) or proposer(bench).propose(claim.number)
    optuna_number = bench.sampling.open(proposal.asked)
    writing.record_candidate(
        bench.engine,
        claim,
        optuna_number=optuna_number,
        params=proposal.asked.params,
        distributions=proposal.asked.distributions,
        candidate=proposal.candidate.to_json(),
        words=laboratory.space.words(proposal.candidate),
        is_baseline=proposal.is_baseline,
        seed=trial_seed(laboratory.spec.search.seed, claim.number),
        versions=versions(),
        dataset_fingerprint=laboratory.dataset.fingerprint,
        extras=proposal.extras,
    )
    return proposal.candidate, optuna_number


def _again(bench: Bench, claim: Claim) -> Proposal | None:
    """Return the candidate of a failed trial that was put back by hand: Optuna's trial of it has ended for good."""
    if claim.candidate is None:
        return None
    candidate = Candidate.from_json(claim.candidate)
    asked = bench.sampling.ask(claim.number, claim.params or {})
    if claim.params:
        bench.laboratory.space.sample(asked.suggest)
    return proposer(bench).made(candidate, asked, is_baseline=claim.number == 0)


def proposer(bench: Bench) -> Proposer:
    """Return what proposes the candidates of the bench's study."""
    return Proposer(bench.laboratory, bench.sampling, bench.history, bench.engine)


@dataclass(slots=True)
class Watch:
    """Takes every epoch to the store and asks the pruner."""

    bench: Bench
    claim: Claim
    epochs: int
    reason: str = ""

    def on_epoch(self, record: EpochRecord) -> Verdict:
        bench, spec = self.bench, self.bench.laboratory.spec
        writing.record_epochs(bench.engine, self.claim, (record,))
        bench.observer.epoch_done(self.claim.number, record)
        value = record.metrics[spec.objective]
        if not math.isfinite(value):
            raise TrialError(f"{spec.objective} is {value} after epoch {record.epoch}", "nan")
        if record.epoch < self.epochs:
            verdict = self._judged(record.epoch)
            if verdict is not Verdict.CONTINUE:
                return verdict
        return Verdict.PAUSE if bench.leave() or bench.pause() else Verdict.CONTINUE

    def _judged(self, epoch: int) -> Verdict:
        """Return whether the trial ends here: weaker than the others, or nothing changes any more."""
        bench, spec, number = self.bench, self.bench.laboratory.spec, self.claim.number
        pruner, same = spec.search.pruner, spec.faults.constant_epochs
        may_prune, may_stand = number > 0 and not isinstance(pruner, pruning.Off), 0 < same <= epoch
        if not may_prune and not may_stand:
            return Verdict.CONTINUE
        for changed in bench.history.refresh():
            bench.curves.put(changed, bench.history.curves[changed])
        if may_prune:
            verdict, self.reason = pruner.verdict(number, bench.curves)
            if verdict is Verdict.PRUNE and (spec.search.pruning == "primary" or self._is_off_front()):
                return verdict
        last = list(bench.history.curves[number])[-same:] if may_stand else []
        if may_stand and len(set(last)) == 1:
            self.reason = f"{spec.objective} has been {last[0]:.4g} for {same} epochs"
            return Verdict.STOP
        return Verdict.CONTINUE

    def _is_off_front(self) -> bool:
        history, goals = self.bench.history, self.bench.laboratory.spec.goals
        best = self.bench.curves.best(self.claim.number)
        return pruning.is_off_front(_known(self.bench, self.claim), best, history.trials, goals.objectives)


def _known(bench: Bench, claim: Claim) -> Mapping[str, float]:
    """Return what the trial's candidate costs, as it was found before training; the store keeps it for resuming."""
    past = bench.history.of(claim.number)
    return past.known if past is not None else {}


def finish(bench: Bench, prepared: Prepared, outcome: Outcome, seconds: float) -> TrialState:
    """Store what came of a trial and return the state it is left in; ``WAITING`` when it has to be handed back."""
    laboratory, claim = bench.laboratory, prepared.claim
    number, spec = claim.number, laboratory.spec
    if outcome.micro_batch is not None and outcome.micro_batch != prepared.course.micro_batch:
        fitted.remember(bench.engine, spec.name, *_memory(bench, prepared.candidate), outcome.micro_batch)
    if outcome.verdict is Verdict.PAUSE:
        writing.add_seconds(bench.engine, claim, seconds)
        return TrialState.WAITING
    pruned = outcome.verdict is Verdict.PRUNE
    state = TrialState.PRUNED if pruned else TrialState.COMPLETE
    last = outcome.epochs[-1]
    best = outcome.epochs[(outcome.best_epoch or last.epoch) - 1]
    value = best.metrics[spec.objective]
    integers = None if pruned else _in_integers(bench, prepared, outcome)
    if not spec.goals.is_single:
        bench.history.refresh()
    weighed = appraisal.outcome(
        spec.goals, _known(bench, claim), outcome.epochs, best, pruned=pruned, quantised=integers
    )
    path = None
    if not pruned and weighed.is_feasible and _is_worth_keeping(bench, prepared, value, weighed):
        kept = laboratory.checkpoint(prepared.candidate, prepared.network, outcome)
        path = files.put(bench.shelf, f"trial-{number:05d}", kept)
    ended = f"ran all {last.epoch} epochs"
    if pruned or outcome.verdict is Verdict.STOP:
        ended = f"{'pruned' if pruned else 'ended'} after epoch {last.epoch}: {prepared.watch.reason}"
    extras = {"device": str(laboratory.precision.device), "micro_batch": outcome.micro_batch, **outcome.facts}
    if integers is not None:
        extras[QUANTISED] = integers.to_json()
        seconds += integers.seconds
        ended += f"; no {QUANTISED} value: {integers.reason}" if integers.reason else ""
    writing.finish_trial(
        bench.engine,
        claim,
        state=state,
        value=value,
        best_epoch=best.epoch,
        evaluation=outcome.evaluation.named(laboratory.names(Split.VAL)) if outcome.evaluation else None,
        ended=ended,
        seconds=seconds,
        checkpoint=path,
        extras=extras,
        objectives=weighed.objectives,
        constraints=weighed.constraints,
    )
    told = {"objectives": weighed.objectives, "constraints": weighed.constraints}
    bench.sampling.tell(prepared.optuna_number, state, value, (last.epoch, last.metrics[spec.objective]), **told)
    prepared.rolling.remove()
    if path is not None:
        remove_surplus(bench)
    bench.observer.trial_ended(number, state, value, ended)
    return state


def _in_integers(bench: Bench, prepared: Prepared, outcome: Outcome) -> quantising.Quantised | None:
    """Return what the best epoch's weights are worth in integers; None where the study does not ask."""
    if bench.laboratory.spec.goals.quantised is None:
        return None
    prepared.network.load_state_dict(outcome.weights)
    return quantising.measure(bench.laboratory, prepared.candidate, prepared.network.original_state())


def _resuming(bench: Bench, claim: Claim) -> files.Rolling:
    """Return where the trial's checkpoints for resuming lie; the store knows their names."""
    return files.Rolling(
        bench.shelf,
        resuming(bench.key, claim.number),
        claim.resume,
        lambda names: writing.record_resume(bench.engine, claim, names),
    )


def _is_worth_keeping(bench: Bench, prepared: Prepared, value: float, weighed: appraisal.Outcome) -> bool:
    """Return whether a trial is among the best ``keep_checkpoints``, or on the front of several objectives."""
    spec = bench.laboratory.spec
    kept = reading.best_standings(bench.engine, spec.name, spec.keep_checkpoints)
    mine = standing(spec.goals.objectives, value, weighed.objectives, prepared.size, prepared.claim.number)
    if len(kept) < spec.keep_checkpoints or mine < kept[-1]:
        return True
    return bool(spec.goals.further) and not pruning.is_off_front(
        weighed.objectives, value, bench.history.trials, spec.goals.objectives
    )


def remove_surplus(bench: Bench) -> None:
    """Remove the checkpoints of all trials but the best ``keep_checkpoints`` and those on the front."""
    spec, goals = bench.laboratory.spec, bench.laboratory.spec.goals
    surplus = reading.kept_checkpoints(bench.engine, spec.name)[spec.keep_checkpoints :]
    if surplus and goals.further:
        bench.history.refresh()
    for number, checkpoint in surplus:
        past = bench.history.of(number)
        if goals.further and past is not None and past.objectives and past.value is not None and past.is_feasible:
            trials, wanted = bench.history.trials, goals.objectives
            if not pruning.is_off_front(past.objectives, past.value, trials, wanted):
                continue
        writing.forget_checkpoint(bench.engine, spec.name, number)
        remove_checkpoint(bench.shelf, checkpoint)
