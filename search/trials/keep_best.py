"""Which trials keep their checkpoints."""

from __future__ import annotations

from search.artifacts import remove_checkpoint
from search.records.study import Size, rank_key
from search.runtime import objective_values
from search.sampling import pruners
from search.store import reading, writing
from search.trials.context import TrialContext


def is_worth_keeping(
    context: TrialContext, number: int, size: Size, value: float, weighed: objective_values.Outcome
) -> bool:
    """Return whether trial ``number`` is among the best ``keep_checkpoints``, or on the front of several objectives."""
    spec = context.runtime.spec
    kept = reading.best_rank_keys(context.engine, spec.name, spec.keep_checkpoints)
    mine = rank_key(spec.goals.objectives, value, weighed.objectives, size, number)
    if len(kept) < spec.keep_checkpoints or mine < kept[-1]:
        return True
    return bool(spec.goals.further) and not pruners.is_off_front(
        weighed.objectives, value, context.history.trials, spec.goals.objectives
    )


def remove_surplus(context: TrialContext) -> None:
    """Remove the checkpoints of all trials but the best ``keep_checkpoints`` and those on the front."""
    spec, goals = context.runtime.spec, context.runtime.spec.goals
    surplus = reading.kept_checkpoints(context.engine, spec.name)[spec.keep_checkpoints :]
    if surplus and goals.further:
        context.history.refresh()
    for number, checkpoint in surplus:
        past = context.history.of(number)
        if goals.further and past is not None and past.objectives and past.value is not None and past.is_feasible:
            trials, wanted = context.history.trials, goals.objectives
            if not pruners.is_off_front(past.objectives, past.value, trials, wanted):
                continue
        writing.forget_checkpoint(context.engine, spec.name, number)
        remove_checkpoint(context.artifact_store, checkpoint)
