"""Which trials keep their checkpoints, and how these are written."""

from __future__ import annotations

import logging
import time

from search.artifacts.stores import remove_checkpoint
from search.errors import TrialError
from search.records.study import Size, rank_key
from search.runtime import objective_values
from search.sampling import pruners
from search.store import reading, writing
from search.store.connection import patience_of
from search.training import checkpoint as files
from search.training.checkpoint import Checkpoint
from search.trials.context import TrialContext

logger = logging.getLogger(__name__)
_FIRST_PAUSE_S, _PAUSE_S = 0.1, 5.0


def keep(context: TrialContext, stem: str, checkpoint: Checkpoint) -> str:
    """Keep ``checkpoint`` as ``files.put`` does and return its name.

    Waits for a full disk or a lost share as long as for a lost database: the trained network exists only in memory.

    Raises:
        TrialError: the place has not come back, or the worker was asked to stop.
    """
    begin, pause, limit_s = time.monotonic(), _FIRST_PAUSE_S, patience_of(context.engine).limit_s
    while True:
        try:
            return files.put(context.artifact_store, stem, checkpoint)
        except TrialError as error:
            if time.monotonic() - begin >= limit_s or context.leave():
                raise
            if pause == _FIRST_PAUSE_S:  # logged once
                logger.warning("%s; trying again for %.0f s", error, limit_s)
        end = time.monotonic() + pause
        while time.monotonic() < end and not context.leave():
            time.sleep(min(pause, 0.2))
        pause = min(2 * pause, _PAUSE_S)


def is_worth_keeping(
    context: TrialContext, number: int, size: Size, value: float, weighed: objective_values.ObjectiveValues
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
