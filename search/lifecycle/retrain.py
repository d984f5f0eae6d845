"""Steps that confirmations and refits share."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from search.errors import UserError
from search.lifecycle.open import writable
from search.lifecycle.run import join_study
from search.records.study import StudyRecord
from search.store import reading
from search.store.connection import Engine
from search.training.precision import device_of
from search.workers import launchers
from search.workers.launchers import LaunchPlan
from search.workers.options import RunOptions
from search.workers.shutdown import StopSignal, obeying_signals


def check_counts(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise UserError(f"--{name} must be at least 1, got {number}")


def check_device(options: RunOptions) -> None:
    """Refuse a missing device or launcher before anything is queued for other workers."""
    if launchers.launcher_of(options.placement.launcher).name == "local":
        try:
            device_of(options.device)
        except ValueError as error:
            raise UserError(str(error)) from error


def searched_study(engine: Engine, name: str) -> StudyRecord:
    """Return the study ``name`` without its curves; refuse one that is not a search."""
    study = reading.load_study(engine, name, epochs=False)
    if study.parent:
        raise UserError(f"{name!r} holds trainings of the study {study.parent!r}; name that study")
    return study


def run_trainings(engine: Engine, own: str, name: str, options: RunOptions) -> None:
    """Work on the trainings called ``own`` of the study ``name`` until all are done, or until a stop signal."""
    progress = reading.progress(engine, own)
    if not progress.unfinished:
        return
    study = reading.load_study(engine, name, trials=False)
    options.observer.study_opened(study.metric, progress, partial(reading.winner, engine, name))
    folder = writable(Path("runs") / name)
    where = options.placement
    count = options.workers or launchers.default_count(where, options.device)
    if count == 1 and where.launcher == "local":
        join_study(own, folder=folder, options=options)
        return
    launch_plan = LaunchPlan(own, options.storage, folder, options.device, where, options.data)
    stop_signal = StopSignal()
    with obeying_signals(stop_signal):
        launchers.run_workers(launch_plan, count, engine, options.observer, stop_signal)
