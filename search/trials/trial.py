"""One trial from its claim to its end: ask, sample, build, fit, record, tell."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from search.artifacts.stores import resuming
from search.data.sample import Split
from search.records.objectives import QUANTISED
from search.records.study import Size, TrialState, Verdict
from search.runtime import few_labels, int8_accuracy, objective_values
from search.runtime.versions import versions
from search.sampling.optuna_study import trial_seed
from search.store import fitted, writing
from search.store.leases import Claim
from search.training import checkpoint as files
from search.training import memory
from search.training.fit import Outcome, TrainingPlan, fit
from search.trials.context import TrialContext
from search.trials.keep_best import is_worth_keeping, keep, remove_surplus
from search.trials.proposal import Proposal, Proposer
from search.trials.watch import Watch, known_costs
from spaces.candidate import Candidate
from spaces.networks.build import Network


def run(context: TrialContext, claim: Claim) -> TrialState:
    """Run the claimed trial and return the state it is left in; ``WAITING`` when it has to be handed back.

    Raises:
        TrialError: this trial cannot go on; the caller records why.
        LeaseLostError: another worker has taken it over; nothing more was written.
    """
    begin = time.monotonic()
    return train(context, prepare(context, claim), begin)


def train(context: TrialContext, prepared: Prepared, begin: float) -> TrialState:
    """Train what is prepared, alone, and store what came of it; its seconds count from ``begin`` (monotonic)."""
    outcome = fit(prepared.network, prepared.plan)
    return finish(context, prepared, outcome, time.monotonic() - begin)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A trial that is in the store and whose network is built: ready to train."""

    claim: Claim
    candidate: Candidate
    optuna_number: int
    network: Network
    plan: TrainingPlan
    watch: Watch
    rolling: files.Rolling
    size: Size


def prepare(context: TrialContext, claim: Claim, proposal: Proposal | None = None) -> Prepared:
    """Return the claimed trial ready to train: the candidate a former attempt left, ``proposal``, or a new one."""
    runtime, number = context.runtime, claim.number
    candidate, optuna_number = _candidate(context, claim, proposal)
    seed = trial_seed(runtime.spec.search.seed, number)
    network = runtime.build(candidate, seed)
    size = runtime.size(network)
    writing.record_size(context.engine, claim, size)
    context.observer.trial_started(number, runtime.space.words(candidate), runtime.epochs(candidate))
    watch = Watch(context, claim, runtime.epochs(candidate))
    rolling = _resuming(context, claim)
    plan = runtime.plan(candidate, seed, watch.on_epoch, context.leave, rolling, network)
    plan = few_labels.adapted(runtime, plan, candidate, network)
    plan = replace(plan, micro_batch=fitted.recall(context.engine, runtime.spec.name, *_memory(context, candidate)))
    return Prepared(claim, candidate, optuna_number, network, plan, watch, rolling, size)


def _memory(context: TrialContext, candidate: Candidate) -> tuple[str, str]:
    """Return the structure and the kind of device under which it is remembered how much fitted."""
    return fitted.structure_key(candidate.to_json()), memory.kind_of(context.runtime.precision.device)


def _candidate(context: TrialContext, claim: Claim, proposal: Proposal | None) -> tuple[Candidate, int]:
    """Return the claim's candidate, and its number in Optuna."""
    if claim.candidate is not None and claim.optuna_number is not None:
        return Candidate.from_json(claim.candidate), claim.optuna_number
    runtime = context.runtime
    proposal = proposal or _again(context, claim) or proposer(context).propose(claim.number)
    optuna_number = context.sampling.open(proposal.asked)
    writing.record_candidate(
        context.engine,
        claim,
        writing.Started(
            optuna_number=optuna_number,
            params=proposal.asked.params,
            distributions=proposal.asked.distributions,
            candidate=proposal.candidate.to_json(),
            words=runtime.space.words(proposal.candidate),
            is_baseline=proposal.is_baseline,
            seed=trial_seed(runtime.spec.search.seed, claim.number),
            versions=versions(),
            dataset_fingerprint=runtime.dataset.fingerprint,
            extras=proposal.extras,
        ),
    )
    return proposal.candidate, optuna_number


def _again(context: TrialContext, claim: Claim) -> Proposal | None:
    """Return the candidate of a failed trial that was put back by hand: Optuna's trial of it has ended for good."""
    if claim.candidate is None:
        return None
    candidate = Candidate.from_json(claim.candidate)
    asked = context.sampling.ask(claim.number, claim.params or {})
    if claim.params:
        context.runtime.space.sample(asked.suggest)
    return proposer(context).made(candidate, asked, is_baseline=candidate == context.runtime.space.baseline())


def proposer(context: TrialContext) -> Proposer:
    """Return what proposes the candidates of the bench's study."""
    return Proposer(context.runtime, context.sampling, context.history, context.engine)


def finish(context: TrialContext, prepared: Prepared, outcome: Outcome, seconds: float) -> TrialState:
    """Store the result of a trial and return the state it is left in; ``WAITING`` when it has to be handed back."""
    runtime, claim = context.runtime, prepared.claim
    number, spec = claim.number, runtime.spec
    if outcome.micro_batch is not None and outcome.micro_batch != prepared.plan.micro_batch:
        fitted.remember(context.engine, spec.name, *_memory(context, prepared.candidate), outcome.micro_batch)
    if outcome.verdict is Verdict.PAUSE:
        writing.add_seconds(context.engine, claim, seconds)
        return TrialState.WAITING
    pruned = outcome.verdict is Verdict.PRUNE
    state = TrialState.PRUNED if pruned else TrialState.COMPLETE
    last = outcome.epochs[-1]
    best = outcome.epochs[(outcome.best_epoch or last.epoch) - 1]
    value = best.metrics[spec.objective]
    integers = None if pruned else _in_integers(context, prepared, outcome)
    if not spec.goals.is_single:
        context.history.refresh()
    weighed = objective_values.outcome(
        spec.goals, known_costs(context, claim), outcome.epochs, best, pruned=pruned, quantised=integers
    )
    path = None
    if (
        not pruned
        and weighed.is_feasible
        and is_worth_keeping(context, prepared.claim.number, prepared.size, value, weighed)
    ):
        kept = runtime.checkpoint(prepared.candidate, prepared.network, outcome)
        path = keep(context, f"trial-{number:05d}", kept)
    ended = f"ran all {last.epoch} epochs"
    if pruned or outcome.verdict is Verdict.STOP:
        ended = f"{'pruned' if pruned else 'ended'} after epoch {last.epoch}: {outcome.reason or prepared.watch.reason}"
    extras = {"device": str(runtime.precision.device), "micro_batch": outcome.micro_batch, **outcome.facts}
    if integers is not None:
        extras[QUANTISED] = integers.to_json()
        seconds += integers.seconds
        ended += f"; no {QUANTISED} value: {integers.reason}" if integers.reason else ""
    writing.finish_trial(
        context.engine,
        claim,
        writing.Ended(
            state=state,
            value=value,
            best_epoch=best.epoch,
            evaluation=outcome.evaluation.named(runtime.names(Split.VAL)) if outcome.evaluation else None,
            ended=ended,
            seconds=seconds,
            checkpoint=path,
            extras=extras,
            objectives=weighed.objectives,
            constraints=weighed.constraints,
        ),
    )
    told = {"objectives": weighed.objectives, "constraints": weighed.constraints}
    context.sampling.tell(prepared.optuna_number, state, value, (last.epoch, last.metrics[spec.objective]), **told)
    prepared.rolling.remove()
    if path is not None:
        remove_surplus(context)
    context.observer.trial_ended(number, state, value, ended)
    return state


def _in_integers(context: TrialContext, prepared: Prepared, outcome: Outcome) -> int8_accuracy.Quantised | None:
    """Return what the best epoch's weights are worth in integers; None where the study does not ask."""
    if context.runtime.spec.goals.quantised is None:
        return None
    prepared.network.load_state_dict(outcome.weights)
    return int8_accuracy.measure(context.runtime, prepared.candidate, prepared.network.original_state())


def _resuming(context: TrialContext, claim: Claim) -> files.Rolling:
    """Return where the trial's checkpoints for resuming lie; the store knows their names."""
    return files.Rolling(
        context.artifact_store,
        resuming(context.key, claim.number),
        claim.resume,
        lambda names: writing.record_resume(context.engine, claim, names),
    )
