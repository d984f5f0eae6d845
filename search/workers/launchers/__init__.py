"""Launchers of workers, one per file."""

from __future__ import annotations

import difflib
import time

from search.errors import RunError, UserError
from search.records.study import TrialState
from search.store import connection, reading
from search.trials.observer import Observer
from search.workers.launchers._base import Launcher, LaunchPlan, Placement
from search.workers.shutdown import StopSignal
from spaces.plugins import load

__all__ = ["LaunchPlan", "Launcher", "Placement", "default_count", "launcher_of", "run_workers"]

_POLL_S = 0.5
_LINGER_S = 30.0
"""How long workers may take to exit once the study has all its trials, in seconds."""


def launcher_of(name: str) -> type[Launcher]:
    """Return the launcher called ``name``.

    Raises:
        UserError: there is none.
    """
    launchers: dict[str, type[Launcher]] = load("search.workers.launchers", "launcher", "ftsearch.engines")
    if name not in launchers:
        near = difflib.get_close_matches(name, launchers, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UserError(f"--launcher: expected one of {', '.join(launchers)}, got {name!r}{hint}")
    return launchers[name]


def default_count(placement: Placement, device: str) -> int:
    """Return the default number of workers: ``per_gpu`` for every GPU of this machine, at least one."""
    if device in ("auto", "cuda"):
        import torch  # noqa: PLC0415  # only here: listing the engines needs none

        return max(torch.cuda.device_count(), 1) * placement.per_gpu
    return placement.per_gpu if device.startswith("cuda") else 1


def run_workers(
    launch_plan: LaunchPlan, count: int, engine: connection.Engine, observer: Observer, stop_signal: StopSignal
) -> None:
    """Run ``count`` workers until the study has all its trials, or until ``stop_signal``.

    ``observer`` is notified of changes in the store. A launcher that is detached is only started.

    Raises:
        UserError: no such launcher, or it is not installed; or every worker refused its input, in the words of one.
        RunError: every worker ended with an error.
    """
    launcher = launcher_of(launch_plan.placement.launcher)(launch_plan)
    if launcher.is_detached:
        launcher.start(count)
        return
    ended = (trial for trial in reading.trial_states(engine, launch_plan.study) if trial.state.is_finished)
    reported = {trial.number: trial.state for trial in ended}  # by earlier runs
    try:
        launcher.start(count)
        done_at = None
        while launcher.alive():
            _report(engine, launch_plan.study, observer, reported)
            progress = reading.progress(engine, launch_plan.study)
            if progress.finished < progress.target:
                done_at = None
            elif done_at is None:
                done_at = time.monotonic()
            lingers = done_at is not None and time.monotonic() - done_at > _LINGER_S
            if stop_signal() or stop_signal.is_time_up or lingers:
                launcher.stop()
            if lingers:
                break  # a worker whose node is gone for good, or that hangs: the study has all its trials
            time.sleep(_POLL_S)
        _report(engine, launch_plan.study, observer, reported)
    finally:
        launcher.kill()
    if fault := launcher.fault():
        raise UserError(fault)
    complaint = launcher.complaint()
    if complaint:
        raise RunError(complaint)


def _report(engine: connection.Engine, study: str, observer: Observer, reported: dict[int, TrialState]) -> None:
    for trial in reading.trial_states(engine, study):
        if reported.get(trial.number) is trial.state or not (trial.words or trial.state.is_finished):
            continue  # nothing new, or claimed a moment ago and not yet sampled
        reported[trial.number] = trial.state
        if trial.state is TrialState.RUNNING:
            observer.trial_started(trial.number, trial.words, 0)
        else:
            observer.trial_ended(trial.number, trial.state, trial.value, trial.ended)
