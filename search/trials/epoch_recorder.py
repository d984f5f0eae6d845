"""The callback after every epoch: the epoch is stored, the trial judged, ended or paused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from search.errors import TrialError
from search.records.study import EpochRecord, TrialState, Verdict
from search.sampling import pruners
from search.store import writing
from search.store.leases import Claim
from search.trials.context import TrialContext

ALONE = 0.5
"""Share of a study's time after which its first trial ends as it is, if no trial is complete: nothing was known yet of
how long it would take, and the rest is for others and for the final training."""


@dataclass(slots=True)
class EpochRecorder:
    """Stores every epoch and asks the pruner.

    Attributes:
        objective: must be a number after every epoch; empty if nothing is validated.
        judged_until: epochs before this one may be the last; 0 if nothing is pruned.
        is_reference: whether it is the plain recipe, which all others are compared with: it is not pruned.
        reason: why the training was ended early.
    """

    context: TrialContext
    claim: Claim
    objective: str
    judged_until: int
    is_reference: bool = False
    reason: str = ""

    def on_epoch(self, record: EpochRecord) -> Verdict:
        context = self.context
        writing.record_epochs(context.engine, self.claim, (record,))
        context.observer.epoch_done(self.claim.number, record)
        # A class is predicted even from outputs that are NaN: only the loss reveals them.
        for name in (self.objective, "loss") if self.objective else ():
            if not math.isfinite(value := record.metrics.get(name, 0.0)):
                raise TrialError(f"{name} is {value} after epoch {record.epoch}", "nan")
        if record.epoch < self.judged_until:
            verdict = self._judged(record.epoch)
            if verdict is not Verdict.CONTINUE:
                return verdict
            if self._takes_too_long(record):
                return Verdict.STOP
        return Verdict.PAUSE if context.leave() or context.pause() else Verdict.CONTINUE

    def _judged(self, epoch: int) -> Verdict:
        """Return whether the trial ends here: it is weaker than others, or no longer changes."""
        context, spec, number = self.context, self.context.runtime.spec, self.claim.number
        pruner, same = spec.search.pruner, spec.faults.constant_epochs
        may_prune, may_stand = not (self.is_reference or isinstance(pruner, pruners.Off)), 0 < same <= epoch
        if not may_prune and not may_stand:
            return Verdict.CONTINUE
        for changed in context.history.refresh():
            context.curves.put(changed, context.history.curves[changed])
        if may_prune:
            verdict, self.reason = pruner.verdict(number, context.curves)
            if verdict is Verdict.PRUNE and (spec.search.pruning == "primary" or self._is_off_front()):
                return verdict
        last = list(context.history.curves[number])[-same:] if may_stand else []
        if may_stand and len(set(last)) == 1:
            self.reason = f"{spec.objective} has been {last[0]:.4g} for {same} epochs"
            return Verdict.STOP
        return Verdict.CONTINUE

    def _takes_too_long(self, record: EpochRecord) -> bool:
        """Return whether another epoch like ``record`` would leave a study that has no complete trial without time."""
        context, search = self.context, self.context.runtime.spec.search
        if not search.timeout:
            return False
        share = 1.0 if search.final == "off" else ALONE
        if context.left_s() - record.seconds >= (1 - share) * search.timeout:
            return False
        context.history.refresh()
        if any(trial.state is TrialState.COMPLETE for trial in context.history.trials):
            return False
        self.reason = (
            f"another epoch would take more than {100 * share:.0f} % of the study's time, and no trial is complete"
        )
        return True

    def _is_off_front(self) -> bool:
        history, goals = self.context.history, self.context.runtime.spec.goals
        best = self.context.curves.best(self.claim.number)
        return pruners.is_off_front(known_costs(self.context, self.claim), best, history.trials, goals.objectives)


def known_costs(context: TrialContext, claim: Claim) -> Mapping[str, float]:
    """Return the costs of the trial's candidate known before training, which are stored for resuming."""
    past = context.history.of(claim.number)
    return past.known if past is not None else {}
