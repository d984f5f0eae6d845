"""One trial from its claim to its end: ask, sample, build, fit, record, tell."""

from __future__ import annotations

import time
from dataclasses import replace

from search.data.sample import Split
from search.records.objectives import QUANTISED
from search.records.study import TrialState, Verdict
from search.runtime import int8_accuracy, objective_values
from search.runtime.versions import versions
from search.sampling.optuna_study import trial_seed
from search.store import writing
from search.store.leases import Claim
from search.training.fit import TrainingResult
from search.trials import attempt as attempts
from search.trials.attempt import Attempt, AttemptSettings
from search.trials.context import TrialContext
from search.trials.epoch_recorder import known_costs
from search.trials.keep_best import is_worth_keeping, keep, remove_surplus
from search.trials.proposal import Proposal, Proposer
from spaces.candidate import Candidate


def run(context: TrialContext, claim: Claim) -> TrialState:
    """Run the claimed trial and return the state it is left in; ``WAITING`` when it has to be handed back.

    Raises:
        TrialError: this trial cannot go on; the caller records why.
        LeaseLostError: another worker has taken it over; nothing more was written.
    """
    begin = time.monotonic()
    return train(context, prepare(context, claim), begin)


def train(context: TrialContext, prepared: Attempt, begin: float) -> TrialState:
    """Train the prepared trial, alone, and store the result; its seconds count from ``begin`` (monotonic)."""
    return finish(context, prepared, prepared.fit(), time.monotonic() - begin)


def prepare(context: TrialContext, claim: Claim, proposal: Proposal | None = None) -> Attempt:
    """Return the claimed trial ready to train: with the candidate of an earlier attempt, ``proposal``, or a new one."""
    runtime = context.runtime
    candidate, optuna_number = _candidate(context, claim, proposal)
    seed = trial_seed(runtime.spec.search.seed, claim.number)
    setting = AttemptSettings(seed=seed, words=runtime.space.words(candidate))
    return replace(attempts.begin(context, runtime, claim, candidate, setting), optuna_number=optuna_number)


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
    """Return the candidate of a failed trial that a user put back: its trial in Optuna has ended for good."""
    if claim.candidate is None:
        return None
    candidate = Candidate.from_json(claim.candidate)
    asked = context.sampling.ask(claim.number, claim.params or {})
    if claim.params:
        context.runtime.space.sample(asked.suggest)
    return proposer(context).made(candidate, asked, is_baseline=candidate == context.runtime.space.baseline())


def proposer(context: TrialContext) -> Proposer:
    """Return the proposer of the study's candidates."""
    return Proposer(context.runtime, context.sampling, context.history, context.engine, context.fits, context.costs)


def finish(context: TrialContext, prepared: Attempt, result: TrainingResult, seconds: float) -> TrialState:
    """Store the result of a trial and return the state it is left in; ``WAITING`` when it has to be handed back."""
    runtime, claim = context.runtime, prepared.claim
    number, spec = claim.number, runtime.spec
    if prepared.is_handed_back(result, seconds):
        return TrialState.WAITING
    pruned = result.verdict is Verdict.PRUNE
    state = TrialState.PRUNED if pruned else TrialState.COMPLETE
    last = result.epochs[-1]
    best = attempts.best_epoch(result)
    value = best.metrics[spec.objective]
    integers = None if pruned else _in_integers(context, prepared, result)
    if not spec.goals.is_single:
        context.history.refresh()
    weighed = objective_values.of_trial(
        spec.goals, known_costs(context, claim), result.epochs, best, pruned=pruned, quantised=integers
    )
    path = None
    if (
        not pruned
        and weighed.is_feasible
        and is_worth_keeping(context, prepared.claim.number, prepared.size, value, weighed)
    ):
        kept = runtime.checkpoint(prepared.candidate, prepared.network, result)
        path = keep(context, f"trial-{number:05d}", kept)
    ended = attempts.whole(last.epoch)
    if pruned or result.verdict is Verdict.STOP:
        ended = (
            f"{'pruned' if pruned else 'ended'} after epoch {last.epoch}: {result.reason or prepared.recorder.reason}"
        )
    extras = {"device": str(runtime.precision.device), "micro_batch": result.micro_batch, **result.facts}
    extras |= attempts.calibration(result)
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
            evaluation=result.evaluation.named(runtime.inputs(Split.VAL)) if result.evaluation else None,
            ended=ended,
            seconds=seconds,
            checkpoint=path,
            extras=extras,
            objectives=weighed.objectives,
            constraints=weighed.constraints,
        ),
    )
    goals = {"objectives": weighed.objectives, "constraints": weighed.constraints}
    context.sampling.tell(prepared.optuna_number, state, value, (last.epoch, last.metrics[spec.objective]), **goals)
    prepared.rolling.remove()
    if path is not None:
        remove_surplus(context)
    context.observer.trial_ended(number, state, value, ended)
    return state


def _in_integers(context: TrialContext, prepared: Attempt, result: TrainingResult) -> int8_accuracy.Quantised | None:
    """Return the best epoch's result in int8; None if the study does not ask for it."""
    if context.runtime.spec.goals.quantised is None:
        return None
    prepared.network.load_state_dict(result.weights)
    return int8_accuracy.measure(context.runtime, prepared.candidate, prepared.network.original_state())
