"""Creates or continues studies, and joins them as a further worker."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from search.data.given_paths import given_path
from search.errors import NotFoundError, UserError
from search.lifecycle import final as ending
from search.lifecycle.artifact_places import study_artifacts
from search.lifecycle.open import checked_runtime, limited, read_study, stored_spec, writable
from search.records.study import OPEN, StudyRecord, TrialRecord
from search.report import page
from search.runtime.study_record import study_record
from search.spec.search_options import TRIALS
from search.spec.study_spec import StudySpec
from search.store import reading, repeats, writing
from search.store.connection import Engine, Patience
from search.store.opening import opened
from search.trials.context import TrialContext
from search.trials.time_reserve import reserve_of
from search.workers import launchers, retraining
from search.workers.launchers import LaunchPlan
from search.workers.options import RunKeywords, run_options
from search.workers.shutdown import PARENT_VARIABLE, StopSignal, obeying_signals
from search.workers.worker import open_context, work


@dataclass(frozen=True, slots=True)
class StudyResult:
    """The result of a run.

    Attributes:
        study: the study with all its trials, including those of earlier runs.
        report: path of the HTML report; None if none was asked for.
        stopped: why the run ended before the study had all its trials; empty if it has.
        model: folder of the exported model: the winner, trained on all data if possible.
        notes: what was left out at the end, and why, one line each.
    """

    study: StudyRecord
    report: Path | None
    stopped: str = ""
    model: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def best(self) -> TrialRecord | None:
        """The complete trial with the best objective, or that whose fresh trainings were the best of the best few."""
        return self.study.best

    @property
    def gain(self) -> float | None:
        """How much better the best trial is than the plain recipe; negative if it is worse, None without both."""
        best, baseline = self.study.best, self.study.baseline
        if best is None or baseline is None or best.value is None or baseline.value is None:
            return None
        return best.value - baseline.value if self.study.maximize else baseline.value - best.value


def run_study(
    study: str | Path | Mapping[str, Any],
    *,
    trials: int | None = None,
    timeout_s: float | None = None,
    sampler: str | None = None,
    report: bool = True,
    folder: str | Path = "runs",
    final: bool = True,
    since: float | None = None,
    **given: Unpack[RunKeywords],
) -> StudyResult:
    """Create or continue the study, run trials until it has its target number, and make the final model.

    Args:
        study: path of a study file, or its content as a mapping.
        trials: the number of trials the study is to have in the end, those that have begun at least; by default the
            study file's, or what an earlier run raised it to.
        timeout_s: seconds that all of it may take.
        sampler: its name; the study file's by default.
        folder: where logs and the report go, one folder per study, and checkpoints too unless ``artifacts``.
        final: end with a model to use: the winner chosen by fresh trainings, trained on training and validation data
            together, and exported; false only searches, as ``search.final: off`` does.
        since: when its time began, by ``time.monotonic``; now by default.
        given: the fields of ``RunOptions``: ``storage``, ``device``, ``artifacts``, ``observer``, ``placement``,
            ``workers``; or ``options``, all of them as one value.

    Raises:
        UserError, SpaceError: the input is wrong; nothing was trained.
        ConflictError: the name belongs to a study of other data or another space.
    """
    begin = time.monotonic() if since is None else since
    spec = limited(read_study(study), trials, timeout_s)
    if sampler is not None:
        spec = sampled_by(spec, sampler)
    if not final:
        spec = replace(spec, search=replace(spec.search, final="off"))
    options = run_options(given)
    storage, watching, where = options.storage, options.observer, options.placement
    is_detached = launchers.launcher_of(where.launcher).is_detached
    if is_detached and spec.search.target >= OPEN:  # nobody remains here to close the study
        spec = replace(spec, search=replace(spec.search, trials=TRIALS))
    seconds = spec.search.timeout
    stop_signal = StopSignal()
    with opened(storage, Patience(spec.faults.database_timeout, stop_signal)) as engine:
        place = writable(Path(folder) / spec.name)
        runtime = replace(checked_runtime(spec, options.device), progress=watching.preparing)
        writing.create_study(engine, study_record(runtime), may_shrink=trials is not None)
        artifact_store, key = study_artifacts(engine, spec.name, options.artifacts or str(place.absolute()))
        progress = reading.progress(engine, spec.name)
        watching.study_opened(spec.objective, progress, partial(reading.winner, engine, spec.name))
        stop_signal.deadline = begin + seconds if seconds else None
        stop_signal.reserve = reserve_of(engine, spec, seconds)
        ending.prepare(engine, spec)
        before = reading.load_study(engine, spec.name, epochs=False)
        count = options.workers or launchers.default_count(where, options.device)
        worker = open_context(runtime, engine, options, place, stop_signal, artifact_store=artifact_store, key=key)
        with obeying_signals(stop_signal), worker as context:
            if count == 1 and where.launcher == "local":
                _search(context, stop_signal)
                writing.close_study(engine, spec.name)
                notes = ending.conclude(context, stop_signal)
            else:
                runtime.decode()
                launch_plan = LaunchPlan(spec.name, storage, place, options.device, where, _data_of(spec), is_detached)
                launchers.run_workers(launch_plan, count, engine, watching, stop_signal)
                writing.close_study(engine, spec.name)
                notes = ending.conclude_with(launch_plan, count, context, stop_signal)
            record = reading.load_study(engine, spec.name)
            model = None
            if final and spec.search.final != "off" and not stop_signal():
                model, note = ending.export(record, place / "model", storage, is_new=_is_new(before, record))
                notes += (f"no model was exported: {note}",) if note else ()
        path = page.write((record,), place / "report.html") if report else None
        return StudyResult(record, path, _why_stopped(record, spec, stop_signal), model, notes)


def join_study(
    name: str,
    *,
    folder: Path | None = None,
    proxy: str | None = None,
    lease_s: float | None = None,
    idle_exit_s: float = 0.0,
    final: bool = True,
    **given: Unpack[RunKeywords],
) -> None:
    """Work on a study that is in the store already, until it has all its trials.

    Study file, data fingerprint and the place of the checkpoints come from the store.

    Args:
        folder: where logs go; ``runs/STUDY`` by default.
        proxy: ``grpc://HOST:PORT`` of a proxy to Optuna's tables of the store, which ``placement`` may name instead.
        lease_s: seconds without a heartbeat after which this worker's trials are taken over.
        idle_exit_s: seconds that the worker waits for the study to appear, and for new trials at its end.
        final: make the final model once no other worker is on the study; False where the launcher of the workers does.
        given: the fields of ``RunOptions``: ``storage``, ``device``, ``data``, ``artifacts``, ``observer``; or
            ``options``, all of them as one value.

    Raises:
        NotFoundError: no such study.
        ConflictError: the data found here is not the study's.
        UserError: the study's checkpoints cannot be reached from here.
    """
    options = run_options(given)
    if proxy is not None:
        options = replace(options, placement=replace(options.placement, proxy=proxy))
    parent = os.environ.get(PARENT_VARIABLE)
    stop_signal = StopSignal(parent=int(parent) if parent else None)
    patience = Patience(leave=stop_signal)
    with obeying_signals(stop_signal), opened(options.storage, patience, wait=idle_exit_s > 0) as engine:
        stored = _awaited(engine, name, idle_exit_s, stop_signal)
        if stored is None:
            return
        spec = stored_spec(stored, options.data)
        if lease_s is not None:
            spec = replace(spec, faults=replace(spec.faults, lease=lease_s))
        patience.seconds = spec.faults.database_timeout
        place = writable(folder or Path("runs") / spec.name)
        artifact_store, key = study_artifacts(engine, spec.name, str(place.absolute()), options.artifacts)
        runtime = checked_runtime(spec, options.device)
        writing.check_same(engine, study_record(runtime))
        worker = open_context(runtime, engine, options, place, stop_signal, artifact_store=artifact_store, key=key)
        if stored.target >= OPEN and parent is None and spec.search.timeout:
            # The process that runs the study closes it; should it die, this worker does not go on for ever.
            stop_signal.deadline = time.monotonic() + spec.search.timeout
        again = repeats.parent_of(engine, name)
        with worker as context:
            if again is not None:
                retraining.work_for(context, stop_signal, name, again[1], idle_exit_s)
                return
            _search(context, stop_signal, idle_exit_s)
            if final and ending.is_over(context):
                ending.conclude(context, stop_signal)


def sampled_by(spec: StudySpec, name: str) -> StudySpec:
    """Return ``spec`` with the sampler called ``name``.

    Raises:
        UserError: there is no such sampler.
    """
    try:
        sampler = replace(spec.search.sampler, name=name)
    except ValueError as error:
        raise UserError(str(error)) from error
    return replace(spec, search=replace(spec.search, sampler=sampler))


def _search(context: TrialContext, stop_signal: StopSignal, idle_exit_s: float = 0.0) -> None:
    """Run the trials of the context's study, then its waiting confirmations and refits."""
    work(context, stop_signal, idle_exit_s=idle_exit_s, aside=lambda: retraining.help_out(context, stop_signal))


def _is_new(before: StudyRecord, after: StudyRecord) -> bool:
    """Return whether anything was trained meanwhile that may change the study's model."""
    counts = [(len(study.ranking), len([one for one in study.finals if one.checkpoint])) for study in (before, after)]
    return counts[0] != counts[1]


def _awaited(engine: Engine, name: str, patience_s: float, stop_signal: StopSignal) -> StudyRecord | None:
    """Return the study ``name``, waiting until it has been created; None when asked to stop meanwhile."""
    end = time.monotonic() + patience_s
    while True:
        try:
            return reading.load_study(engine, name, trials=False)
        except NotFoundError:
            if time.monotonic() >= end:
                raise
        time.sleep(min(1.0, patience_s))
        if stop_signal():
            return None


def _data_of(spec: StudySpec) -> Path | None:
    """Return the absolute path of the data, if it has one: workers may start in another folder."""
    path = getattr(spec.data, "path", None)
    return None if path is None else given_path(spec.base, str(path)).absolute()


def _why_stopped(study: StudyRecord, spec: StudySpec, stop_signal: StopSignal) -> str:
    finished = sum(trial.state.is_finished for trial in study.trials)
    if finished >= study.target:
        return ""
    if stop_signal.reason:
        return stop_signal.reason
    spent, budget = sum(trial.seconds for trial in study.trials), spec.search.gpu_seconds
    if budget and spent >= budget:
        return f"the budget of {budget:g} s is spent ({finished} trials took {spent:.0f} s)"
    return "the time is up" if stop_signal.is_time_up else "workers ended early"
