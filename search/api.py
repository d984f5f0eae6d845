"""The same as the command line, from Python or a notebook.

from search.api import run_study, load_study

result = run_study("studies/quickstart.yaml", trials=16)
print(result.best.words, result.best.value)
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from search.engines.local import run_processes
from search.errors import UserError
from search.laboratory import Laboratory, open_laboratory
from search.records import EpochRecord, StudyRecord, TrialRecord, TrialState
from search.report import page
from search.spec import StudySpec, from_data, load_spec, parse_spec
from search.store import DEFAULT_URL, connection, migrate, reading, writing
from search.store.reading import Progress
from search.trial import Observer
from search.worker import PARENT_VARIABLE, Leaving, obeying_signals, open_bench, work


class Silent:
    """An observer that says nothing."""

    def study_opened(self, metric: str, *, maximize: bool, progress: Progress) -> None:
        """Nothing."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """Nothing."""

    def trial_started(self, number: int, words: str, epochs: int) -> None:
        """Nothing."""

    def epoch_done(self, number: int, epoch: EpochRecord) -> None:
        """Nothing."""

    def trial_ended(self, number: int, state: TrialState, value: float | None, ended: str) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class StudyResult:
    """What a run left behind.

    Attributes:
        study: the whole study with all its trials, earlier runs' included.
        report: path of the HTML report; None when none was asked for.
        stopped: why the run ended before the study had all its trials; empty when it has.
    """

    study: StudyRecord
    report: Path | None
    stopped: str = ""

    @property
    def best(self) -> TrialRecord | None:
        """The complete trial with the best objective."""
        return self.study.best

    @property
    def gain(self) -> float | None:
        """How much better the best trial is than the plain recipe, positive when it is; None without both."""
        best, baseline = self.study.best, self.study.baseline
        if best is None or baseline is None or best.value is None or baseline.value is None:
            return None
        return best.value - baseline.value if self.study.maximize else baseline.value - best.value


def run_study(
    study: str | Path | Mapping[str, Any],
    *,
    storage: str = DEFAULT_URL,
    trials: int | None = None,
    timeout_s: float | None = None,
    workers: int = 1,
    device: str = "auto",
    observer: Observer | None = None,
    report: bool = True,
    folder: str | Path = "runs",
) -> StudyResult:
    """Create the study, or continue it, and run trials until it has as many as it shall have.

    Args:
        study: path of a study file, or its content as a mapping.
        storage: SQLAlchemy URL of the database.
        trials: how many trials the study shall have in the end; the study file's number by default.
        timeout_s: seconds after which no further trial starts.
        workers: processes; 1 runs trials in this one.
        observer: told of trials and epochs as they happen.
        folder: where checkpoints and the report go, one folder a study.

    Raises:
        UserError, SpaceError: the input is wrong; nothing was trained.
        ConflictError: the name belongs to a study of other data or another space.
    """
    spec = _spec(study)
    if trials is not None:
        spec = replace(spec, search=replace(spec.search, trials=trials))
    seconds = timeout_s if timeout_s is not None else spec.search.timeout
    watching = observer or Silent()
    engine = connection.connect(storage)
    try:
        migrate.upgrade(engine)
        place = writable(Path(folder) / spec.name)
        laboratory = replace(_opened(spec, device), progress=watching.preparing)
        writing.create_study(engine, laboratory.record())
        progress = reading.progress(engine, spec.name)
        watching.study_opened(spec.objective, maximize=spec.maximize, progress=progress)
        deadline = time.monotonic() + seconds if seconds else None
        leaving = Leaving(deadline=deadline)
        with obeying_signals(leaving):
            if workers == 1:
                with open_bench(laboratory, engine, storage, place, watching, leaving) as bench:
                    work(bench, leaving)
            else:
                laboratory.decode()
                run_processes(spec.name, storage, place, workers, device, engine, watching, leaving)
        record = reading.load_study(engine, spec.name)
        path = page.write((record,), place / "report.html") if report else None
        return StudyResult(record, path, _why_stopped(record, spec, leaving))
    finally:
        engine.dispose()


def open_study(study: str | Path | Mapping[str, Any], *, device: str = "auto") -> Laboratory:
    """Return the study's laboratory: data checked, backbone and decisions found; nothing is trained or stored."""
    return _opened(_spec(study), device)


def join_study(
    name: str,
    *,
    storage: str = DEFAULT_URL,
    device: str = "auto",
    data: Path | None = None,
    folder: Path | None = None,
    observer: Observer | None = None,
) -> None:
    """Work for a study that is in the store already, until it has all its trials.

    Study file and data fingerprint come from the store; ``data`` says where the data lies on this machine
    when it is not where the study file says.

    Raises:
        NotFoundError: no such study.
        ConflictError: the data found here is not the study's.
    """
    engine = connection.connect(storage)
    try:
        migrate.upgrade(engine)
        stored = reading.load_study(engine, name, epochs=False)
        spec = _stored_spec(stored, data)
        place = writable(folder or Path("runs") / name)
        laboratory = _opened(spec, device)
        writing.create_study(engine, replace(laboratory.record(), target=stored.target))
        parent = os.environ.get(PARENT_VARIABLE)
        leaving = Leaving(parent=int(parent) if parent else None)
        with (
            obeying_signals(leaving),
            open_bench(laboratory, engine, storage, place, observer or Silent(), leaving) as bench,
        ):
            work(bench, leaving)
    finally:
        engine.dispose()


def _stored_spec(stored: StudyRecord, data: Path | None) -> StudySpec:
    plain = dict(stored.spec["study"])
    if data is not None:
        plain["data"] = {**plain["data"], "path": str(data.absolute())}
    return from_data(plain, text=stored.spec_text, base=Path(stored.spec["base"]))


def load_study(name: str, *, storage: str = DEFAULT_URL) -> StudyRecord:
    """Return the study ``name`` with all its trials and their curves.

    Raises:
        NotFoundError: no such study; suggests the nearest name.
    """
    engine = connection.connect(storage)
    try:
        migrate.upgrade(engine)
        return reading.load_study(engine, name)
    finally:
        engine.dispose()


def writable(folder: Path) -> Path:
    """Return ``folder``, made if need be.

    Raises:
        UserError: it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"cannot write to the output folder {folder}: {error.strerror}; choose another folder"
        ) from error
    return folder


def _spec(study: str | Path | Mapping[str, Any]) -> StudySpec:
    if isinstance(study, Mapping):
        import yaml  # noqa: PLC0415  # only for studies given as data

        return parse_spec(yaml.safe_dump(dict(study), sort_keys=False))
    return load_spec(study)


def _opened(spec: StudySpec, device: str) -> Laboratory:
    try:
        return open_laboratory(spec, device)
    except ValueError as error:
        raise UserError(str(error)) from error


def _why_stopped(study: StudyRecord, spec: StudySpec, leaving: Leaving) -> str:
    finished = sum(trial.state.is_finished for trial in study.trials)
    if finished >= study.target:
        return ""
    if leaving.reason:
        return leaving.reason
    spent = sum(trial.seconds for trial in study.trials)
    if spec.search.budget and spec.search.budget.gpu_seconds and spent >= spec.search.budget.gpu_seconds:
        return f"the budget of {spec.search.budget.gpu_seconds:g} s is spent ({finished} trials took {spent:.0f} s)"
    return "the time is up" if leaving.is_time_up else "workers ended early"
