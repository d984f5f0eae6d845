"""Trials trained at once: those that freeze their whole backbone share its forward passes.

One worker holds all their claims; each remains a trial of its own, with its candidate, curve, verdict and result.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, replace

import torch

from search.errors import FinetuneError, LeaseLostError
from search.records.study import TrialState
from search.store.leases import Claim
from search.training.epoch import whole
from search.training.fit import EpochBatches, TrainingResult
from search.training.heads import Behind, can_stack, fit_heads
from search.training.pseudo import PseudoLabelled
from search.training.stacking import StackedHead
from search.trials import trial
from search.trials.attempt import Attempt
from search.trials.context import TrialContext
from search.trials.proposal import Proposer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ParallelHeads:
    """Runs claimed trials, those with a frozen backbone up to ``search.parallel_heads`` at once.

    Attributes:
        claim: claims one more trial; None when there is none.
        hold: keeps the lease of a claim within its context.
        fail: records why one of the other trials of the group failed.
        release: hands another trial of the group back to the queue.
    """

    claim: Callable[[], Claim | None]
    hold: Callable[[Claim], AbstractContextManager[object]]
    fail: Callable[[Claim, Exception], None]
    release: Callable[[Claim], None]

    def run(self, context: TrialContext, claim: Claim) -> TrialState:
        """Run the claimed trial, and others beside it, and return the state that ``claim`` is left in.

        The others are finished, failed or handed back here. Raises as ``trial.run`` does, for ``claim`` alone.
        """
        begin = time.monotonic()
        first = trial.prepare(context, claim)
        if not self._runs_together(context, first):
            return trial.train(context, first, begin)
        with ExitStack() as holding:
            group = [first, *self._beside(context, first, holding)]
            logger.info("trials %s are trained at once", ", ".join(str(one.claim.number) for one in group))
            building = (time.monotonic() - begin) / len(group)
            try:
                results = _trained(context, group)
            except BaseException:
                for attempt in group[1:]:
                    with suppress(LeaseLostError):
                        self.release(attempt.claim)
                raise
            for attempt, result in zip(group[1:], results[1:], strict=True):
                self._settle(context, attempt, result, building)
        own = results[0]
        if not isinstance(own, TrainingResult):
            raise own
        return trial.finish(context, first, own, building + _seconds(own))

    def _runs_together(self, context: TrialContext, first: Attempt) -> bool:
        spec = context.runtime.spec
        # An interrupted trial resumes from its checkpoint, alone; fp16 needs a loss scale for each head.
        is_first_attempt = first.claim.candidate is None
        plan = first.plan
        scaled = plan.precision.scaler.is_enabled() or not context.runtime.task.stacks
        scaled = scaled or plan.class_weights is not None or isinstance(plan.train, PseudoLabelled)
        alone = not is_first_attempt or scaled or plan.is_solved or plan.averages
        return spec.search.parallel_heads > 1 and not alone and can_stack(first.network)

    def _beside(self, context: TrialContext, first: Attempt, holding: ExitStack) -> Iterator[Attempt]:
        """Yield up to ``parallel_heads - 1`` further trials, claimed, held and built."""
        proposer = trial.proposer(context)
        for _ in range(context.runtime.spec.search.parallel_heads - 1):
            claim = None if context.leave() else self.claim()
            if claim is None:
                return
            lease = holding.enter_context(ExitStack())
            lease.enter_context(self.hold(claim))
            try:
                attempt = self._prepared(context, proposer, first, claim)
            except LeaseLostError:
                continue
            except Exception as error:  # noqa: BLE001  # recorded with the trial; those beside it go on
                self.fail(claim, error)
                continue
            if attempt is None:  # another worker's trial or a warm start: run by itself
                lease.close()
                self.release(claim)
                return
            yield attempt

    def _prepared(self, context: TrialContext, proposer: Proposer, first: Attempt, claim: Claim) -> Attempt | None:
        if claim.candidate is not None or proposer.is_planned(claim.number):
            return None
        proposal = proposer.propose_beside(claim.number, first.candidate)
        if proposal is None:
            return None
        attempt = trial.prepare(context, claim, proposal)
        if not can_stack(attempt.network):
            raise RuntimeError("a head that differs in its recipe alone cannot be trained beside the others")
        return attempt

    def _settle(
        self, context: TrialContext, attempt: Attempt, result: TrainingResult | Exception, building: float
    ) -> None:
        """Store the result of another trial of the group."""
        if isinstance(result, LeaseLostError):
            logger.warning("trial %d: another worker has taken it over", attempt.claim.number)
            return
        if isinstance(result, Exception):
            self.fail(attempt.claim, result)
            return
        try:
            state = trial.finish(context, attempt, result, building + _seconds(result))
            if state is TrialState.WAITING:
                self.release(attempt.claim)
        except LeaseLostError:
            logger.warning("trial %d: another worker has taken it over", attempt.claim.number)
        except Exception as error:  # noqa: BLE001  # whatever ends a trial is recorded with it, and the study goes on
            self.fail(attempt.claim, error)


def _trained(context: TrialContext, group: Sequence[Attempt]) -> Sequence[TrainingResult | FinetuneError]:
    """Train the heads of ``group`` at once, or one after another if memory does not hold them all."""
    try:
        trained = fit_heads([_member(context, one) for one in group], *_batches(context, group[0]))
        facts = {**group[0].plan.facts(), "trained_at_once": [one.claim.number for one in group]}
        return [replace(one, facts=facts) if isinstance(one, TrainingResult) else one for one in trained]
    except torch.OutOfMemoryError:
        logger.warning("out of memory with %d heads at once: training them one after another", len(group))
    results: list[TrainingResult | FinetuneError] = []
    for one in group:
        try:
            results.append(one.fit())
        except FinetuneError as error:
            results.append(error)
    return results


def _member(context: TrialContext, prepared: Attempt) -> StackedHead:
    runtime, candidate = context.runtime.of(prepared.candidate), prepared.candidate
    penalty = runtime.space.values(candidate)["penalty"]
    return StackedHead(prepared.network, prepared.plan, runtime.optimizer(candidate), penalty)


def _batches(context: TrialContext, first: Attempt) -> tuple[EpochBatches, EpochBatches]:
    """Return the frozen backbone's features of the first trial's batches, from the prefix cache if there is one."""
    plan = first.plan
    if plan.forward is not whole:
        return plan.train, plan.val
    precision = context.runtime.precision
    return Behind(plan.train, first.network, precision), Behind(plan.val, first.network, precision)


def _seconds(result: TrainingResult) -> float:
    return sum(record.seconds for record in result.epochs)
