"""The end of a search: choosing the winner, training it on all data and exporting it, as far as the budget allows."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

from search.errors import FinetuneError
from search.lifecycle.export import export_study, model_name
from search.model import folder as model_folder
from search.records.command_line import command
from search.records.named_trial import BEST, chosen_model
from search.records.study import StudyRecord, TrialState
from search.spec.study_spec import StudySpec
from search.store import reading, repeats, writing
from search.store.connection import Engine
from search.trials.context import TrialContext
from search.workers import launchers, retraining
from search.workers.final_model import Ending, Train
from search.workers.launchers import LaunchPlan
from search.workers.shutdown import StopSignal
from search.workers.worker import is_budget_spent

logger = logging.getLogger(__name__)
_COMPARED = 16
"""Number of validation samples on which the exported file is compared with the network: of the search's own format."""
NOUNS = {repeats.CONFIRM: "fresh training", repeats.FINAL: "final training"}


def prepare(engine: Engine, spec: StudySpec) -> None:
    """Put a final training that failed in an earlier run back into the queue."""
    own = repeats.name_of(spec.name, repeats.FINAL)
    if spec.search.final != "off" and repeats.parent_of(engine, own) is not None:
        writing.retry_failed(engine, own)


def conclude(context: TrialContext, stop_signal: StopSignal, train: Train | None = None) -> tuple[str, ...]:
    """Choose and train the final model; return why any step was left out.

    Args:
        train: runs the trainings; this process by default.
    """
    spec = context.runtime.spec
    options = spec.search.final
    if options == "off" or stop_signal() or reading.progress(context.engine, spec.name).stopping:
        return ()
    left = _left(context, stop_signal)
    return Ending(context.engine, spec, options, left, train or _here(context, stop_signal)).conclude()


def is_over(context: TrialContext) -> bool:
    """Return whether the search has ended for all its workers: all trials are done, or the budget is spent."""
    progress = reading.progress(context.engine, context.runtime.spec.name)
    is_done = progress.finished >= progress.target or is_budget_spent(context)
    return is_done and not progress.states.get(TrialState.RUNNING)


def _left(context: TrialContext, stop_signal: StopSignal) -> Callable[[], float]:
    """Return a function that returns the seconds left, of the time and of the budget, which is counted from now on."""
    budget, begin = context.runtime.spec.search.gpu_seconds, time.monotonic()
    if budget is None:
        return lambda: stop_signal.left_s
    context.history.refresh()
    end = begin + budget - context.history.seconds
    return lambda: min(stop_signal.left_s, end - time.monotonic())


def _here(context: TrialContext, stop_signal: StopSignal) -> Train:
    def train(kind: str, own: str, for_s: float) -> None:
        before = stop_signal.deadline, stop_signal.reserve
        # The last training is finished even if it takes a little longer than predicted.
        stop_signal.deadline, stop_signal.reserve = None if math.isinf(for_s) else time.monotonic() + for_s, None
        _announce(context, kind, own)
        try:
            retraining.work_for(context, stop_signal, own, kind)
        finally:
            stop_signal.deadline, stop_signal.reserve = before

    return train


def conclude_with(plan: LaunchPlan, count: int, context: TrialContext, stop_signal: StopSignal) -> tuple[str, ...]:
    """Do as ``conclude`` after a search by ``count`` workers of ``plan``; detached ones do it themselves.

    On the CPU this process trains alone: starting others takes longer than they save.
    """
    if launchers.launcher_of(plan.placement.launcher).is_detached:
        return ()
    is_local = plan.placement.launcher == "local" and context.runtime.precision.device.type == "cpu"
    return conclude(context, stop_signal, None if is_local else _launched(context, stop_signal, plan, count))


def _launched(context: TrialContext, stop_signal: StopSignal, plan: LaunchPlan, count: int) -> Train:
    """Return a function that trains with ``count`` workers, and the single final training with one."""

    def train(kind: str, own: str, for_s: float) -> None:
        before = stop_signal.deadline, stop_signal.reserve
        stop_signal.deadline, stop_signal.reserve = None if math.isinf(for_s) else time.monotonic() + for_s, None
        _announce(context, kind, own)
        own_plan = LaunchPlan(own, plan.storage, plan.folder, plan.device, plan.placement, plan.data)
        some = 1 if kind == repeats.FINAL else count
        try:
            launchers.run_workers(own_plan, some, context.engine, context.observer, stop_signal)
        finally:
            stop_signal.deadline, stop_signal.reserve = before

    return train


def _announce(context: TrialContext, kind: str, own: str) -> None:
    context.observer.stage_began(NOUNS[kind], reading.progress(context.engine, own))


def export(record: StudyRecord, folder: Path, storage: str, *, is_new: bool) -> tuple[Path | None, str]:
    """Export the study's model to ``folder``, the final one if there is one; return the folder, or why not.

    Args:
        is_new: whether anything was trained since the last export; a model of the same name is then written again.
    """
    if record.best is None:
        return None, ""
    trial, final = chosen_model(record, BEST)
    name = model_name(record.name, trial.number, final)
    if not is_new and _holds(folder, name):
        return folder, ""
    try:
        return export_study(record.name, output=folder, storage=storage, compared=_COMPARED).folder, ""
    except Exception as error:  # whatever goes wrong here, the search has finished and its result is shown
        logger.debug("the export failed", exc_info=error)
        reason = str(error) or type(error).__name__
        return None, f"{reason}; once that is fixed: {command('export', record.name)}"


def _holds(folder: Path, name: str) -> bool:
    try:
        return model_folder.read(folder).name == name
    except (FinetuneError, OSError):
        return False
