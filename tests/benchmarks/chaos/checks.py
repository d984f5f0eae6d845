"""What must hold of a study after all that was done to its workers: each finding is a line, none is good."""

from __future__ import annotations

import json
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import optuna
from sqlalchemy import select

from search.api import load_study
from search.artifacts import partial_files
from search.artifacts.stores import Folder
from search.data import array_cache
from search.errors import FinetuneError, TrialError
from search.lifecycle.open import checked_runtime, stored_spec
from search.lifecycle.trained_candidate import load_trained, look
from search.records.named_trial import BEST, chosen_model
from search.records.study import EpochRecord, StudyRecord, TrialRecord, Verdict
from search.records.study import TrialState as State
from search.runtime import few_labels
from search.store import checkpoint_owners, connection
from search.store.tables import StudyRow, TrialRow
from search.store.urls import str_url
from search.training import checkpoint
from search.training.fit import fit
from spaces.candidate import Candidate

TOLERANCE = 1e-4
"""Largest difference of a recomputed metric: features are computed in batches of another size."""
_OPTUNAS = {State.COMPLETE: "COMPLETE", State.PRUNED: "PRUNED", State.FAILED: "PRUNED"}
"""A candidate that fails by its own fault (a loss that is no number) counts as one of the worst."""


@dataclass(frozen=True, slots=True)
class Remains:
    """What a study has left, and where to look.

    Attributes:
        place: folder of the study's checkpoints, model and report; ``cache`` this machine's; ``temporary`` what
            programs take for the system's folder of temporary files.
        keep: checkpoints that the study keeps.
    """

    url: str
    name: str
    place: Path
    cache: Path
    temporary: Path
    trials: int
    keep: int

    @property
    def study(self) -> StudyRecord:
        return load_study(self.name, storage=self.url)


def check(remains: Remains) -> list[str]:
    """Return all that is wrong."""
    study = remains.study
    parts: tuple[Callable[[Remains, StudyRecord], Iterator[str]], ...] = (
        *(numbers_and_states, curves, sampler, weights, final_model, files, cached),
    )
    return [line for part in parts for line in part(remains, study)]


def numbers_and_states(remains: Remains, study: StudyRecord) -> Iterator[str]:
    """The numbers 0 to N - 1, each trial ended, none of them failed but by its candidate's own fault."""
    if [trial.number for trial in study.trials] != list(range(remains.trials)):
        yield f"numbers: {[trial.number for trial in study.trials]}, not 0 to {remains.trials - 1}"
    for trial in study.trials:
        if trial.state not in (State.COMPLETE, State.PRUNED) and not diverged(trial):
            yield f"trial {trial.number} is left {trial.state.value}: {trial.ended}"
    alike = Counter(json.dumps(trial.candidate, sort_keys=True) for trial in study.trials)
    if None in {trial.candidate for trial in study.trials if trial.candidate is None}:
        yield f"trials without a candidate: {[one.number for one in study.trials if one.candidate is None]}"
    if len(alike) < len(study.trials) / 2:
        yield f"{len(study.trials)} trials tried {len(alike)} candidates only"


def diverged(trial: TrialRecord) -> bool:
    """Return whether the candidate itself is to blame; ``replayed`` tries it again."""
    return trial.failure is not None and trial.failure.kind == "nan"


def curves(_: Remains, study: StudyRecord) -> Iterator[str]:
    """Epochs without gap or double, and the value that of the best of them."""
    for trial in study.trials:
        epochs = [record.epoch for record in trial.epochs]
        if epochs != list(range(1, len(epochs) + 1)):
            yield f"trial {trial.number} has the epochs {epochs}"
        if diverged(trial):
            continue
        if trial.value is None or not trial.epochs:
            yield f"trial {trial.number} has value {trial.value} and {len(trial.epochs)} epochs"
            continue
        values = [record.metrics[study.metric] for record in trial.epochs]
        best = max(values) if study.maximize else min(values)
        if trial.best_epoch is None or trial.value != best or values[trial.best_epoch - 1] != best:
            yield f"trial {trial.number}: value {trial.value} at epoch {trial.best_epoch}, its curve is {values}"


def sampler(remains: Remains, study: StudyRecord) -> Iterator[str]:
    """Optuna's trials are ours: one each, with our state, value and parameters, and none is open."""
    storage = optuna.storages.RDBStorage(str_url(remains.url))
    told = {one.number: one for one in optuna.load_study(study_name=remains.name, storage=storage).trials}
    storage.engine.dispose()
    numbers = _optuna_numbers(remains)
    if len(set(numbers.values())) != len(numbers) or set(numbers) != {trial.number for trial in study.trials}:
        yield f"Optuna's numbers of our trials are {numbers}"
    for trial in study.trials:
        other = told.get(numbers.get(trial.number, -1))
        if other is None:
            yield f"Optuna lacks trial {trial.number}"
            continue
        if other.state.name != _OPTUNAS.get(trial.state):
            yield f"trial {trial.number} is {trial.state.value}, Optuna's is {other.state.name}"
        if trial.state is State.COMPLETE and other.value != trial.value:
            yield f"trial {trial.number} has {trial.value}, Optuna's has {other.value}"
        if _plain(other.params) != _plain(dict(trial.params)):
            yield f"trial {trial.number} has parameters {trial.params}, Optuna's has {other.params}"
    for number, other in told.items():
        if number not in numbers.values() and other.state.name != "FAIL":
            yield f"Optuna's trial {number} is {other.state.name} and none of ours"


def _optuna_numbers(remains: Remains) -> dict[int, int]:
    engine = connection.connect(remains.url)
    asked = select(TrialRow.number, TrialRow.optuna_number).join(StudyRow, StudyRow.id == TrialRow.study_id)
    with connection.reading(engine) as link:
        rows = link.execute(asked.where(StudyRow.name == remains.name)).all()
    engine.dispose()
    return {row.number: row.optuna_number for row in rows if row.optuna_number is not None}


def _to_resume(remains: Remains) -> set[str]:
    """Return the checkpoints from which failed trials can be tried again."""
    engine = connection.connect(remains.url)
    names = {name for owner in checkpoint_owners.owners(engine, remains.name) for name in owner.resume}
    engine.dispose()
    return names


def _plain(params: dict[str, object]) -> str:
    return json.dumps(params, sort_keys=True)


def weights(remains: Remains, study: StudyRecord) -> Iterator[str]:
    """Exactly the best ``keep`` trials have their weights, and these give the value that is stored."""
    kept = {trial.number for trial in study.trials if trial.checkpoint}
    best = {trial.number for trial in study.ranking[: remains.keep]}
    if kept != best:
        yield f"the weights of trials {sorted(kept)} are kept, the best {remains.keep} are {sorted(best)}"
    if study.best is not None:
        trial, _ = chosen_model(study, BEST)
        if not (remains.place / str(trial.checkpoint)).is_file():
            yield f"the model of the best trial, {study.best.number}, is {trial.checkpoint}, which is not there"
    for trial in study.trials:
        if trial.checkpoint is None:
            continue
        try:
            trained = load_trained(study, trial, Folder(remains.place), None, lambda *_: None)
            value = look(trained, 1, lambda *_: None).metrics[study.metric]
        except (FinetuneError, OSError, RuntimeError) as error:
            yield f"the weights of trial {trial.number} cannot be used: {error}"
            continue
        if trial.value is None or not math.isclose(value, trial.value, abs_tol=TOLERANCE):
            yield f"the weights of trial {trial.number} give {value}, stored is {trial.value}"


def final_model(remains: Remains, study: StudyRecord) -> Iterator[str]:
    """The final model is one, its weights are there, and it is what the model's folder says."""
    done = [one for one in study.finals if one.checkpoint]
    if len(done) != 1:
        yield f"{len(done)} final models are complete, not 1"
    unfinished = [one.state.value for one in (*study.repeats, *study.finals) if not one.state.is_finished]
    if unfinished:
        yield f"trainings of candidates once more are left {unfinished}"
    for one in done:
        try:
            checkpoint.get(Folder(remains.place), str(one.checkpoint))
        except (FinetuneError, OSError, RuntimeError) as error:
            yield f"the final model: {error}"


def files(remains: Remains, study: StudyRecord) -> Iterator[str]:
    """No file lies in the study's place, or among the temporary ones, but those that it is to have."""
    named = {one.checkpoint for one in (*study.trials, *study.repeats, *study.finals) if getattr(one, "checkpoint", 0)}
    marks = [path.name for path in remains.place.glob("artifacts-*")]
    if len(marks) != 1:
        yield f"the place is marked {marks}"
    allowed = {*named, *marks, "report.html", *_to_resume(remains)}
    for path in sorted(remains.place.rglob("*")):
        name = path.relative_to(remains.place).as_posix()
        if path.is_file() and name not in allowed and not name.startswith("model/"):
            yield f"left in the place: {name}"
        if path.is_dir() and not any(path.iterdir()):
            yield f"an empty folder is left in the place: {name}"
    missing = [name for name in named if not (remains.place / str(name)).is_file()]
    if missing:
        yield f"the store names {missing}, which are not there"
    model = remains.place / "model"
    listed = (model / "SHA256SUMS").read_text("utf-8") if (model / "SHA256SUMS").is_file() else ""
    sums = {line.split(maxsplit=1)[1].lstrip("*").strip() for line in listed.splitlines() if line.strip()}
    there = {path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_file()} - {"SHA256SUMS"}
    if not sums or sums != there - {"README.md"}:  # the card is for its reader to edit
        yield f"the model's folder holds {sorted(there)}, its list says {sorted(sums)}"
    for path in sorted(remains.temporary.rglob("*")):
        yield f"left among the temporary files: {path.relative_to(remains.temporary)}"


def cached(remains: Remains, _: StudyRecord) -> Iterator[str]:
    """Every array of the cache is whole, and nothing lies beside them."""
    for path in sorted(remains.cache.rglob("*")):
        name = path.relative_to(remains.cache)
        if path.is_dir() or (path.parent.name == "checked" and not path.name.startswith(".")):
            continue
        if path.name.startswith(partial_files.PREFIX):
            yield f"left in the cache: {name}"
        elif path.suffix == ".npy":
            if array_cache._whole(path) is None:
                yield f"damaged in the cache: {name}"
        elif not path.with_suffix(".npy" if path.suffix == ".json" else "").is_file():
            yield f"left in the cache: {name}"


def replayed(remains: Remains, most: int) -> tuple[int, list[str]]:
    """Train anew, undisturbed, up to ``most`` of the trials that were taken over; return how many, and what differs."""
    study = remains.study
    runtime = checked_runtime(stored_spec(study), "cpu")
    taken_over = [trial for trial in study.trials if trial.attempts > 1 and not diverged(trial)]
    chosen = [*filter(diverged, study.trials), *taken_over[:most]]
    lines = []
    for trial in chosen:
        candidate, records = Candidate.from_json(trial.candidate), []

        def on_epoch(record: EpochRecord, trial: TrialRecord = trial, records: list[EpochRecord] = records) -> Verdict:
            records.append(record)
            goes_on = len(records) < len(trial.epochs) or diverged(trial)
            return Verdict.CONTINUE if goes_on else Verdict.STOP

        network = runtime.build(candidate, int(trial.seed or 0))
        plan = runtime.plan(candidate, int(trial.seed or 0), on_epoch, lambda: False, None, network)
        try:
            fit(network, few_labels.adapted(runtime, plan, candidate, network))
        except TrialError as error:
            if not diverged(trial):
                lines.append(f"trial {trial.number} cannot be trained again: {error}")
        if diverged(trial):
            last = records[len(trial.epochs) - 1 :]
            if len(records) == study_epochs(study) and not any(math.isnan(one.metrics["loss"]) for one in last):
                lines.append(f"trial {trial.number} did not diverge when it was trained again: {trial.ended}")
            continue
        for once, again in zip(trial.epochs, records, strict=True):
            pairs = [(once.train_loss, again.train_loss)]
            pairs += [(value, again.metrics[name]) for name, value in once.metrics.items()]
            pairs = [pair for pair in pairs if not all(map(math.isnan, pair))]
            if any(not math.isclose(one, other, rel_tol=1e-3, abs_tol=TOLERANCE) for one, other in pairs):
                lines.append(f"trial {trial.number} ({trial.attempts} attempts), epoch {once.epoch}: {once} / {again}")
                break
    return len(chosen), lines


def study_epochs(study: StudyRecord) -> int:
    """Return the epochs that the study file gives a trial."""
    return int(study.spec["study"]["training"]["epochs"])


def processes_of(folder: Path, within_s: float) -> list[str]:
    """Return the processes, but for children of this one, that name ``folder`` in their environment after that time."""
    end = time.monotonic() + within_s
    while (left := list(_processes_of(folder))) and time.monotonic() < end:
        time.sleep(0.2)
    return left


def _processes_of(folder: Path) -> Iterator[str]:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes()
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
        if f"CHAOS_FOLDER={folder}".encode() in environment and os.getpid() not in (parent, int(entry.name)):
            yield f"{entry.name} {command}"
