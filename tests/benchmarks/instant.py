"""A worker whose trials take no time: the real claims, sampler, epochs, ends and leases around a training that is none.

    python tests/benchmarks/instant.py create STORAGE STUDY TRIALS [--epochs 10] [--sampler random]
    python tests/benchmarks/instant.py work STORAGE STUDY [--processes 1] [--threads 1] [--seconds 0]

Tests and benchmarks start it as a process. Each trial prints a line: its number and when it ended (monotonic seconds).
"""

from __future__ import annotations

import argparse
import atexit
import gc
import logging
import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from search.artifacts.stores import Folder
from search.records.objectives import Goals
from search.records.study import DatasetRecord, EpochRecord, Objective, Size, StudyRecord, TrialState, Verdict
from search.sampling.cost_model import CostFeatures
from search.sampling.optuna_study import SamplerOptions
from search.sampling.pruners import Median, Off
from search.spec.faults import FaultOptions
from search.spec.search_options import SearchOptions
from search.store import connection, migrate, reading, writing
from search.training.checkpoint import Checkpoint
from search.training.fit import TrainingResult
from search.trials import attempt, trial
from search.trials.context import TrialContext
from search.trials.observer import Silent
from search.trials.proposal import Proposal
from search.workers import worker
from search.workers.launchers import Placement
from search.workers.options import RunOptions
from search.workers.shutdown import StopSignal, obeying_signals
from spaces.candidate import Candidate, Recipe, Structure
from spaces.decisions.pseudo import Pseudo

KEY = "instant0"
COST = CostFeatures(1e12, 1e8, 1e6, 0.5, 10.0, 1e3, 1e9)


@dataclass(frozen=True, slots=True)
class Space:
    """Ten parameters, one of them an integer with four values that stands for the structure."""

    def baseline(self) -> Candidate:
        return self._candidate(0, [0.5] * 9)

    def params(self, candidate: Candidate) -> dict[str, Any]:
        return {"depth": 0} | {f"x{place}": 0.5 for place in range(9)}

    def values(self, candidate: Candidate) -> dict[str, Any]:
        return {"pseudo": Pseudo()}

    def sample(self, suggest: Any) -> Candidate:
        depth = suggest.integer("depth", 0, 3)
        return self._candidate(depth, [suggest.real(f"x{place}", 0.0, 1.0) for place in range(9)])

    def words(self, candidate: Candidate) -> str:
        return f"depth {candidate.structure.choices['depth']}"

    @staticmethod
    def _candidate(depth: int, values: list[float]) -> Candidate:
        return Candidate(Structure("instant", "none", (1, 1), {"depth": depth}), Recipe({"x": values}))


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What an instant training needs to know."""

    seed: int
    epochs: int
    seconds: float
    on_epoch: Callable[[EpochRecord], Verdict]
    leave: Callable[[], bool]
    folder: Any
    micro_batch: int | None = None


@dataclass(frozen=True, slots=True)
class StudyRuntime:
    """Looks like a study's runtime to a worker, and trains nothing."""

    spec: Any
    seconds: float = 0.0
    space: Space = field(default_factory=Space)
    dataset: Any = field(default_factory=lambda: SimpleNamespace(fingerprint="instant", classes=()))
    precision: Any = field(default_factory=lambda: SimpleNamespace(device=torch.device("cpu")))

    def build(self, candidate: Candidate, seed: int) -> None:
        return None

    def size(self, network: None) -> Size:
        return Size(1000, 10, 1000)

    def epochs(self, candidate: Candidate) -> int:
        return self.most_epochs()

    def most_epochs(self) -> int:
        return int(self.spec.training.epochs)

    def plan(self, candidate: Candidate, seed: int, on_epoch: Any, leave: Any, folder: Any, _: None) -> TrainingPlan:
        return TrainingPlan(seed, self.spec.training.epochs, self.seconds, on_epoch, leave, folder)

    def checkpoint(self, candidate: Candidate, network: None, outcome: TrainingResult) -> Checkpoint:
        return Checkpoint({"weight": torch.zeros(4)}, {"best": outcome.best_epoch})


@dataclass(frozen=True, slots=True)
class Proposer:
    """Proposes what the sampler draws."""

    context: TrialContext

    def propose(self, number: int) -> Proposal:
        if self.context.runtime.spec.search.sampler.name != "random":
            self.context.history.refresh()
        asked = self.context.sampling.ask(number)
        return Proposal(self.context.runtime.space.sample(asked.suggest), asked, COST, is_baseline=number == 0)


def value_of(seed: int, epoch: int) -> float:
    """Return the metric of an epoch: what a trial reports depends on its seed alone."""
    return ((seed * 2654435761 + epoch * 40503) % 10_007) / 10_007


def fit(network: None, plan: TrainingPlan) -> TrainingResult:
    """Run the epochs of ``plan``, from its newest checkpoint if there is one."""
    found = plan.folder.newest()
    done = [] if found is None else [EpochRecord(**record) for record in found.facts["epochs"]]
    for number in range(len(done) + 1, plan.epochs + 1):
        if plan.leave():
            return _outcome(done, Verdict.PAUSE)
        time.sleep(plan.seconds)
        done.append(EpochRecord(number, 1.0 / number, {"accuracy": value_of(plan.seed, number)}))
        verdict = plan.on_epoch(done[-1])
        if plan.seconds:
            facts = {
                "epochs": [{"epoch": one.epoch, "train_loss": one.train_loss, "metrics": one.metrics} for one in done]
            }
            plan.folder.save(number, Checkpoint({"weight": torch.zeros(4)}, facts))
        if verdict is not Verdict.CONTINUE:
            return _outcome(done, verdict)
    return _outcome(done, Verdict.CONTINUE)


def _outcome(done: list[EpochRecord], verdict: Verdict) -> TrainingResult:
    best = max(done, key=lambda record: record.metrics["accuracy"], default=None)
    return TrainingResult(verdict, tuple(done), best.epoch if best else None, {}, None, None)


def spec_of(study: StudyRecord, seconds: float = 0.0, lease: float = 60.0) -> Any:
    """Return what a worker reads of a study file, from what ``create`` has stored."""
    plain = study.spec
    return SimpleNamespace(
        name=study.name,
        objective="accuracy",
        maximize=True,
        keep_checkpoints=3,
        training=SimpleNamespace(epochs=plain["epochs"], balance="off"),
        search=SearchOptions(
            seed=7,
            sampler=SamplerOptions(name=plain["sampler"]),
            final="off",
            pruner=Median() if plain["pruner"] == "median" else Off(),
        ),
        faults=FaultOptions(lease=lease, constant_epochs=0),
        goals=Goals((Objective("accuracy", maximize=True),)),
    )


def create(
    storage: str, name: str, trials: int, *, epochs: int = 10, sampler: str = "random", pruner: str = "none"
) -> None:
    """Store a new study of instant trials."""
    engine = connection.connect(storage)
    migrate.upgrade(engine)
    record = StudyRecord(
        name=name,
        task="classification",
        metric="accuracy",
        maximize=True,
        backbone="instant",
        weights="none",
        dataset=DatasetRecord("instant", ("a", "b"), {"train": {"a": 1, "b": 1}}, "instant"),
        target=trials,
        spec={"epochs": epochs, "sampler": sampler, "pruner": pruner},
        identity={"seed": 7},
    )
    writing.create_study(engine, record)
    engine.dispose()


class Printing(Silent):
    """Prints a line for every trial that has ended."""

    def trial_ended(self, number: int, state: TrialState, value: float | None, ended: str) -> None:
        print(f"{number} {state.value} {time.monotonic():.6f} {threading.current_thread().name}\n", end="", flush=True)


def work(
    storage: str,
    name: str,
    folder: Path,
    *,
    threads: int = 1,
    proxy: str | None = None,
    seconds: float = 0.0,
    lease: float = 60.0,
    timeout: float = 120.0,
) -> None:
    """Run trials of the study in so many threads, each a worker with connections of its own."""
    # What is not real: the training, and what a candidate's network would cost.
    attempt.fit, trial.proposer = fit, Proposer  # type: ignore[assignment]
    stop_signal = StopSignal()
    failures: list[BaseException] = []

    def one(place: int) -> None:
        engine = connection.connect(storage, connection.Patience(timeout, stop_signal))
        try:
            study = reading.load_study(engine, name, trials=False)
            runtime: Any = StudyRuntime(spec_of(study, seconds, lease), seconds)
            opened = worker.open_context(
                runtime,
                engine,
                RunOptions(storage=storage, observer=Printing(), placement=Placement(proxy=proxy)),
                folder,
                stop_signal,
                artifact_store=Folder(folder),
                key=KEY,
            )
            with opened as context:
                worker.work(context, stop_signal, worker=f"{worker.worker_name()}-{place}", run=trial.run)
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            engine.dispose()

    with obeying_signals(stop_signal):
        if threads == 1:
            one(0)
            return
        pool = [threading.Thread(target=one, args=(place,), name=f"worker-{place}") for place in range(threads)]
        for thread in pool:
            thread.start()
        for thread in pool:
            thread.join()
    if failures:
        raise SystemExit(f"{len(failures)} of {threads} workers failed: {failures[0]}")


def main(argv: Sequence[str] | None = None) -> None:
    atexit.register(gc.freeze)  # as the command line does
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser("create")
    new.add_argument("storage")
    new.add_argument("name", metavar="study")
    new.add_argument("trials", type=int)
    new.add_argument("--epochs", type=int, default=10)
    new.add_argument("--sampler", default="random", choices=["random", "tpe"])
    new.add_argument("--pruner", default="none", choices=["none", "median"])
    join = commands.add_parser("work")
    join.add_argument("storage")
    join.add_argument("name", metavar="study")
    join.add_argument("--folder", type=Path, default=Path("instant"))
    join.add_argument("--processes", type=int, default=1, help="workers; libraries are loaded once for all of them")
    join.add_argument("--threads", type=int, default=1, help="workers that share a process")
    join.add_argument("--optuna", dest="proxy")
    join.add_argument("--seconds", type=float, default=0.0, help="what an epoch takes")
    join.add_argument("--lease", type=float, default=60.0)
    join.add_argument("--timeout", type=float, default=120.0, help="how long the database may be gone")
    given = vars(parser.parse_args(argv))
    command = given.pop("command")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(threadName)s %(message)s")
    if command == "create":
        create(**given)
    elif (count := given.pop("processes")) == 1:
        work(**given)
    else:
        fork = multiprocessing.get_context("fork")
        crew = [fork.Process(target=work, kwargs=given) for _ in range(count)]
        for process in crew:
            process.start()
        for process in crew:
            process.join()
        raise SystemExit(any(process.exitcode for process in crew))


if __name__ == "__main__":
    main()
