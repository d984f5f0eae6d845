"""The same as the command line, from Python or a notebook.

from search.api import run_study, load_study

result = run_study("studies/quickstart.yaml", trials=16)
print(result.best.words, result.best.value)
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from search.artifacts import Shelf, claim_place, clear, find_place, is_place, open_shelf
from search.errors import NotFoundError, UserError
from search.model.predict import load_model as load_model  # noqa: PLC0414  # part of this interface
from search.records.study import EpochRecord, StudyRecord, TrialRecord, TrialState
from search.report import page
from search.runtime import few_labels, int8_accuracy
from search.runtime.several_backbones import open_laboratories
from search.runtime.study_runtime import Laboratory
from search.sampling.optuna_storage import Blobs, open_storage
from search.sampling.optuna_study import delete as optuna_delete
from search.spec.load import StudySpec, from_data, load_spec, parse_spec
from search.store import DEFAULT_URL, connection, migrate, reading, repeats, writing
from search.store.connection import Engine, Patience
from search.store.reading import Progress
from search.trials.trial import Observer
from search.workers import launchers, retraining
from search.workers.launchers import Order, Placement
from search.workers.shutdown import PARENT_VARIABLE, Leaving, obeying_signals
from search.workers.worker import open_bench, work


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
    workers: int | None = None,
    device: str = "auto",
    observer: Observer | None = None,
    report: bool = True,
    folder: str | Path = "runs",
    artifacts: str | None = None,
    placement: Placement | None = None,
) -> StudyResult:
    """Create the study, or continue it, and run trials until it has as many as it shall have.

    Args:
        study: path of a study file, or its content as a mapping.
        storage: SQLAlchemy URL of the database.
        trials: how many trials the study shall have in the end; the study file's number by default.
        timeout_s: seconds after which no further trial starts.
        workers: processes; 1 runs trials in this one. By default as many as this machine has GPUs, at least 1.
        observer: told of trials and epochs as they happen.
        folder: where logs and the report go, one folder a study, and checkpoints too unless ``artifacts``.
        artifacts: where a new study's checkpoints go: a folder that all workers reach, or ``s3://BUCKET/PREFIX``.
        placement: which engine runs workers, and how.

    Raises:
        UserError, SpaceError: the input is wrong; nothing was trained.
        ConflictError: the name belongs to a study of other data or another space.
    """
    spec = _spec(study)
    if trials is not None:
        spec = replace(spec, search=replace(spec.search, trials=trials))
    seconds = timeout_s if timeout_s is not None else spec.search.timeout
    watching = observer or Silent()
    leaving = Leaving()
    engine = connection.connect(storage, Patience(spec.faults.database_timeout, leaving))
    try:
        migrate.upgrade(engine)
        place = writable(Path(folder) / spec.name)
        laboratory = replace(_opened(spec, device), progress=watching.preparing)
        writing.create_study(engine, laboratory.record())
        shelf, key = _placed(engine, spec.name, artifacts or str(place.absolute()))
        progress = reading.progress(engine, spec.name)
        watching.study_opened(spec.objective, maximize=spec.maximize, progress=progress)
        leaving.deadline = time.monotonic() + seconds if seconds else None
        where = placement or Placement()
        count = workers or launchers.default_count(where, device)
        with obeying_signals(leaving):
            if count == 1 and where.engine == "local":
                _work_here(laboratory, engine, storage, place, watching, leaving, shelf, key, where.proxy)
            else:
                laboratory.decode()
                order = Order(spec.name, storage, place, device, where, data=_data_of(spec))
                launchers.run_workers(order, count, engine, watching, leaving)
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
    artifacts: str | None = None,
    proxy: str | None = None,
    lease_s: float | None = None,
    idle_exit_s: float = 0.0,
) -> None:
    """Work for a study that is in the store already, until it has all its trials.

    Study file, data fingerprint and the place of the checkpoints come from the store.

    Args:
        data: where the data lies on this machine when it is not where the study file says.
        folder: where logs go; ``runs/STUDY`` by default.
        artifacts: where the folder of the study's checkpoints is mounted on this machine.
        proxy: ``grpc://HOST:PORT`` of a proxy through which Optuna's part of the store is reached.
        lease_s: seconds after which this worker's trials are taken over when it has gone silent.
        idle_exit_s: seconds for which the worker waits for the study to be there, and for new trials at its end.

    Raises:
        NotFoundError: no such study.
        ConflictError: the data found here is not the study's.
        UserError: the study's checkpoints cannot be reached from here.
    """
    parent = os.environ.get(PARENT_VARIABLE)
    leaving = Leaving(parent=int(parent) if parent else None)
    patience = Patience(leave=leaving)
    with obeying_signals(leaving):
        engine = connection.connect(storage, patience, wait=idle_exit_s > 0)
        try:
            migrate.upgrade(engine)
            stored = _awaited(engine, name, idle_exit_s, leaving)
            if stored is None:
                return
            spec = stored_spec(stored, data)
            if lease_s is not None:
                spec = replace(spec, faults=replace(spec.faults, lease=lease_s))
            patience.seconds = spec.faults.database_timeout
            place = writable(folder or Path("runs") / spec.name)
            shelf, key = _placed(engine, spec.name, str(place.absolute()), artifacts)
            laboratory = _opened(spec, device)
            writing.check_same(engine, laboratory.record())
            watching = observer or Silent()
            _work_here(laboratory, engine, storage, place, watching, leaving, shelf, key, proxy, idle_exit_s, name=name)
        finally:
            engine.dispose()


def _work_here(
    laboratory: Laboratory,
    engine: Engine,
    storage: str,
    place: Path,
    observer: Observer,
    leaving: Leaving,
    shelf: Shelf,
    key: str,
    proxy: str | None,
    idle_exit_s: float = 0.0,
    *,
    name: str = "",
) -> None:
    """Run the trials of the laboratory's study; if ``name`` is of its confirmations or refits, those instead."""
    opened = open_bench(laboratory, engine, storage, place, observer, leaving, shelf=shelf, key=key, proxy=proxy)
    with opened as bench:
        again = repeats.parent_of(engine, name) if name else None
        if again is not None:
            retraining.work_for(bench, leaving, name, again[1], idle_exit_s)
        else:
            work(bench, leaving, idle_exit_s=idle_exit_s, aside=lambda: retraining.help_out(bench, leaving))


def _awaited(engine: Engine, name: str, patience_s: float, leaving: Leaving) -> StudyRecord | None:
    """Return the study ``name``, waiting until somebody has created it; None when told to leave meanwhile."""
    end = time.monotonic() + patience_s
    while True:
        try:
            return reading.load_study(engine, name, trials=False)
        except NotFoundError:
            if time.monotonic() >= end:
                raise
        time.sleep(min(1.0, patience_s))
        if leaving():
            return None


def _placed(engine: Engine, study: str, address: str, here: str | None = None) -> tuple[Shelf, str]:
    """Return the shelf of the study's checkpoints and its key; ``address`` is where it shall be if it is new.

    ``here`` is where that shelf is found on this machine.
    """
    own = uuid.uuid4().hex
    found = reading.artifacts_of(engine, study)
    if found is None:
        new = open_shelf(address, Blobs)
        claim_place(new, own)
        found = writing.place_artifacts(engine, study, new.address, own)
        if found[1] != own:  # another worker was quicker
            clear(new, own, ())
    return _found(found, address, here), found[1]


def _found(stored: tuple[str, str], beside: str, here: str | None) -> Shelf:
    """Return the shelf with this address and key: ``here`` if that is given, else ``beside`` if it is that, else there.

    A folder that was moved or copied together with its store is found beside it; a copy never touches its original.
    """
    address, key = stored
    if here is None and is_place(open_shelf(beside, Blobs), key):
        address = beside
    shelf = open_shelf(here or address, Blobs)
    find_place(shelf, key)
    return shelf


def _default_place(name: str) -> Path:
    return (Path("runs") / name).absolute()


def open_artifacts(name: str, *, storage: str = DEFAULT_URL, artifacts: str | None = None) -> Shelf:
    """Return where the checkpoints of the study ``name`` are kept: ``get`` gives the bytes of a trial's.

    Raises:
        NotFoundError: no such study.
        UserError: they cannot be reached from here.
    """
    engine = connection.connect(storage)
    try:
        migrate.upgrade(engine)
        return _placed(engine, name, str(_default_place(name)), artifacts)[0]
    finally:
        engine.dispose()


def delete_study(
    name: str, *, storage: str = DEFAULT_URL, artifacts: str | None = None, keep_artifacts: bool = False
) -> None:
    """Delete the study ``name``: checkpoints first, then Optuna's rows, then ours, so that it can be repeated.

    Args:
        artifacts: where the folder of its checkpoints is mounted on this machine.
        keep_artifacts: leave its checkpoints where they are.

    Raises:
        NotFoundError: no such study.
        UserError: its checkpoints cannot be reached from here; nothing was deleted.
    """
    engine = connection.connect(storage)
    try:
        migrate.upgrade(engine)
        place = reading.artifacts_of(engine, name)
        shelf = None
        if place is not None and not keep_artifacts:
            shelf = _found(place, str(_default_place(name)), artifacts)
        writing.request_stop(engine, name)
        if shelf is not None and place is not None:
            kept = [trial[1] for trial in reading.kept_checkpoints(engine, name)]
            clear(shelf, place[1], [*kept, *repeats.checkpoints(engine, name)])
        optuna_storage = open_storage(connection.str_url(storage), connection.optuna_options(storage), connection.tune)
        optuna_delete(optuna_storage, name)
        writing.delete_study(engine, name)
    finally:
        engine.dispose()


def _data_of(spec: StudySpec) -> Path | None:
    """Return where the data lies when it has a path: workers of another study file's folder need it whole."""
    path = getattr(spec.data, "path", None)
    return None if path is None else (spec.base / Path(str(path)).expanduser()).absolute()


def stored_spec(stored: StudyRecord, data: Path | None = None) -> StudySpec:
    """Return the study file of a study in the store; ``data`` is where its data lies when that is elsewhere here."""
    plain = dict(stored.spec["study"])
    if data is not None:
        if "path" not in plain["data"]:
            raise UserError(f"--data: data of the format {plain['data']['format']} lie in no folder; leave it out")
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
        probe.unlink(missing_ok=True)  # another worker of this folder may have been quicker
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
        laboratory = open_laboratories(spec, device)
    except ValueError as error:
        raise UserError(str(error)) from error
    few_labels.check(laboratory)
    int8_accuracy.check(laboratory)
    return laboratory


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
