"""One search, three tools: Optuna with a tutorial's loop, Ray Tune with the same loop, and ftsearch.

    python tests/benchmarks/whole_search.py --data FOLDER --trials 12 --epochs 5 --json whole_search.json

FOLDER holds ``train`` and ``val``, a folder per class in each. ftsearch runs its seeded study through the ordinary
``search.api.run_study`` with an empty cache; its candidates, in its order, are then what the other two try: the same
trials on the same data, pruned by Optuna's MedianPruner, Ray's ASHA, and our successive halving with ASHA's factors.

The loop of the other two is the tutorial's (https://pytorch.org/tutorials/beginner/transfer_learning_tutorial.html):
ImageFolder, RandomResizedCrop and flip, a DataLoader with worker processes, the network in training mode, frozen
parameters with ``requires_grad=False``. Each tool has a process of its own; Ray's start-up is not counted. Prints
the seconds after which each had reached validation accuracies, how many times sooner ftsearch was, and the best
accuracies at equal time. Bar: at least 5 times sooner than either.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import math
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import optuna
import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from search.api import run_study
from search.records.study import EpochRecord, Json
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import from_data
from search.trials.observer import Silent
from spaces.candidate import Candidate

BAR = 5.0
HALVING = {"name": "halving", "first": 1, "factor": 4}
"""Ours and Ray's ASHA: the first rung after an epoch, one of four passes."""
BATCH = 32
T = TypeVar("T")


@dataclass
class Timeline:
    """Seconds since a tool began, and the validation accuracy it had measured then."""

    name: str
    points: list[tuple[float, float]] = field(default_factory=list)
    seconds: float = 0.0
    epochs: int = 0

    def reached(self, accuracy: float) -> float | None:
        return next((seconds for seconds, value in self.points if value >= accuracy), None)

    def best(self, seconds: float = float("inf")) -> float:
        return max((value for moment, value in self.points if moment <= seconds), default=0.0)


class Watch(Silent):
    """Notes every epoch of our study."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline, self._begin = timeline, time.monotonic()

    def epoch_done(self, number: int, epoch: EpochRecord) -> None:
        self._timeline.points.append((time.monotonic() - self._begin, epoch.metrics["accuracy"]))


def study_of(data: Path, backbone: str, trials: int, epochs: int) -> dict[str, Any]:
    return {
        "name": "whole",
        "data": {"path": str(data.absolute())},
        "backbone": backbone,
        "space": {"freeze": {}, "head": {"hidden": 1}, "dropout": {}, "penalty": {}, "optimizer": {}},
        "training": {"epochs": epochs, "batch_size": BATCH},
        # Drawn at random, so that the same candidates can be given to all three whatever comes out.
        "search": {"trials": trials, "sampler": "random", "pruner": HALVING, "seed": 0},
    }


def ours(study: dict[str, Any], folder: Path) -> tuple[Timeline, list[Json]]:
    """Run the study as a user does; return its timeline and its candidates in order."""
    timeline = Timeline("ftsearch")
    os.environ["FTSEARCH_CACHE"] = str(folder / "cache")
    begin = time.monotonic()
    found = run_study(
        study, storage=f"sqlite:///{folder}/store.db", folder=folder, observer=Watch(timeline), report=False
    ).study
    timeline.seconds = time.monotonic() - begin
    timeline.epochs = len(timeline.points)
    failed = [trial.failure.message for trial in found.trials if trial.failure]
    if failed:
        raise RuntimeError(f"{len(failed)} trials failed: {failed[0]}")
    return timeline, [trial.candidate for trial in found.trials]


def loaders(own: StudyRuntime, data: Path, workers: int) -> tuple[DataLoader[Any], DataLoader[Any]]:
    expected = own.pretrained.preprocessing
    size = own.input_size[0]
    end = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(expected.mean, expected.std)]
    train = v2.Compose([v2.RandomResizedCrop(size), v2.RandomHorizontalFlip(), *end])
    val = v2.Compose([v2.Resize(expected.resize_for(size)), v2.CenterCrop(size), *end])
    splits = (("train", train, True), ("val", val, False))
    first, second = (
        DataLoader(ImageFolder(data / name, transform), BATCH, shuffle=shuffle, num_workers=workers)
        for name, transform, shuffle in splits
    )
    return first, second


def tutorial(
    own: StudyRuntime, data: Path, candidate: Json, epochs: int, workers: int, report: Callable[[int, float], None]
) -> None:
    """Train one candidate as the tutorial does, telling ``report`` the validation accuracy of every epoch."""
    chosen = Candidate.from_json(candidate)
    device = own.precision.device
    # Laid out as torchvision makes it: channels first, which a tutorial does not change.
    network = own.build(chosen, 0).to(device, memory_format=torch.contiguous_format)
    train, val = loaders(own, data, workers)
    plan = own.plan(chosen, 0, lambda _: None, lambda: False, None)  # type: ignore[arg-type,return-value]
    optimizer, schedule = plan.optimize(network, len(train) * epochs)
    penalties = plan.penalties(network)
    criterion = torch.nn.CrossEntropyLoss()
    for epoch in range(1, epochs + 1):
        torch.nn.Module.train(network)
        for images, labels in train:
            optimizer.zero_grad()
            loss = criterion(network(images.to(device)), labels.to(device))
            for term in penalties().values():
                loss = loss + term
            loss.backward()
            optimizer.step()
            schedule.step()
        network.eval()
        hits = 0
        with torch.no_grad():
            for images, labels in val:
                hits += int((network(images.to(device)).argmax(1) == labels.to(device)).sum())
        report(epoch, hits / len(val.dataset))  # type: ignore[arg-type]


def in_own_process(function: Callable[..., T], *arguments: object) -> T:
    """Return what ``function`` returns in a process of its own, so that no tool leaves its memory to the next."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def with_optuna(study_file: dict[str, Any], data: Path, candidates: Sequence[Json], epochs: int) -> Timeline:
    own = open_runtime(from_data(study_file), "auto")
    timeline = Timeline("Optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize", pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1)
    )
    begin = time.monotonic()

    def objective(trial: optuna.Trial) -> float:
        values: list[float] = []

        def report(epoch: int, accuracy: float) -> None:
            values.append(accuracy)
            timeline.points.append((time.monotonic() - begin, accuracy))
            trial.report(accuracy, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        tutorial(own, data, candidates[trial.number], epochs, 2, report)
        return max(values)

    study.optimize(objective, n_trials=len(candidates))
    timeline.seconds = time.monotonic() - begin
    timeline.epochs = len(timeline.points)
    return timeline


def _ray_trial(config: dict[str, Any]) -> None:
    from ray import tune

    torch.set_num_threads(1)
    own = open_runtime(from_data(config["study"]), "auto")

    def report(epoch: int, accuracy: float) -> None:
        tune.report({"accuracy": accuracy, "moment": time.time()})

    tutorial(own, Path(config["data"]), config["candidates"][config["place"]], config["epochs"], 1, report)


def with_ray(study: dict[str, Any], data: Path, candidates: Sequence[Json], epochs: int, folder: Path) -> Timeline:
    with redirect_stdout(sys.stderr):  # Ray Tune writes tables of its own
        return _with_ray(study, data, candidates, epochs, folder)


def _with_ray(study: dict[str, Any], data: Path, candidates: Sequence[Json], epochs: int, folder: Path) -> Timeline:
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    timeline = Timeline("Ray Tune")
    here = Path(__file__)
    paths = os.pathsep.join([*map(str, (here.parent, here.parents[2])), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {"PYTHONPATH": paths, "FTSEARCH_CACHE": os.environ["FTSEARCH_CACHE"]}
    gpus = torch.cuda.device_count()
    ray.init(
        num_cpus=2, num_gpus=gpus, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False,
        runtime_env={"env_vars": environment}, _temp_dir=str(folder / "ray"),
    )  # fmt: skip
    try:
        # By this file's own name: Ray's processes know no ``__main__`` of ours.
        trial = importlib.import_module(here.stem)._ray_trial
        config = {
            "study": study,
            "data": str(data.absolute()),
            "candidates": list(candidates),
            "epochs": epochs,
            "place": tune.grid_search(list(range(len(candidates)))),
        }
        began, begin = time.time(), time.monotonic()
        results = tune.Tuner(
            tune.with_resources(trial, {"cpu": 1, "gpu": 0.5 if gpus else 0}),
            param_space=config,
            tune_config=tune.TuneConfig(
                metric="accuracy", mode="max", scheduler=ASHAScheduler(max_t=epochs, grace_period=1)
            ),
            run_config=tune.RunConfig(storage_path=str(folder / "tune"), verbose=0),
        ).fit()
        timeline.seconds = time.monotonic() - begin
        if results.errors:
            raise RuntimeError(f"{len(results.errors)} of Ray's trials failed: {results.errors[0]}")
        frames = [result.metrics_dataframe for result in results if result.metrics_dataframe is not None]
        points = [
            (float(moment) - began, float(accuracy))
            for frame in frames
            for moment, accuracy in zip(frame["moment"], frame["accuracy"], strict=True)
        ]
        timeline.points = sorted(points)
        timeline.epochs = len(points)
    finally:
        ray.shutdown()
    return timeline


def summary(timelines: Sequence[Timeline]) -> dict[str, Any]:
    """Return seconds to accuracies, ratios and bests at equal time."""
    own, others = timelines[0], timelines[1:]
    common = min(timeline.best() for timeline in timelines)
    steps = (0.1, 0.05, 0.02, 0.01, 0.0)
    levels = sorted({math.floor(1e4 * (common - step)) / 1e4 for step in steps if common > step})
    rows = []
    for level in levels:
        seconds = {timeline.name: timeline.reached(level) for timeline in timelines}
        first = seconds[own.name] or float("nan")
        rows.append(
            {"accuracy": level, **seconds, "ratios": {one.name: (seconds[one.name] or 0) / first for one in others}}
        )
    equal = own.seconds
    return {
        "levels": rows,
        "totals": {one.name: {"seconds": one.seconds, "epochs": one.epochs, "best": one.best()} for one in timelines},
        "total_ratios": {one.name: one.seconds / own.seconds for one in others},
        "best_at_equal_time": {"seconds": equal, **{one.name: one.best(equal) for one in timelines}},
        "bar": BAR,
    }


def show(found: dict[str, Any], names: Sequence[str]) -> None:
    print("seconds to a validation accuracy, and how many times sooner ftsearch is")
    print(f"{'accuracy':>10}" + "".join(f"{name:>12}" for name in names) + "".join(f"{name:>14}" for name in names[1:]))
    for row in found["levels"]:
        times = "".join(f"{row[name]:12.1f}" for name in names)
        print(f"{row['accuracy']:10.4f}{times}" + "".join(f"{row['ratios'][name]:13.1f}x" for name in names[1:]))
    for name in names:
        total = found["totals"][name]
        print(f"{name:12} all trials {total['seconds']:8.1f} s, {total['epochs']:4d} epochs, best {total['best']:.4f}")
    equal = found["best_at_equal_time"]
    bests = ", ".join(f"{name} {equal[name]:.4f}" for name in names)
    print(f"best after the {equal['seconds']:.1f} s that ftsearch took: {bests}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train and val")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--without-ray", action="store_true", help="leave Ray Tune out")
    parser.add_argument("--json", type=Path, help="write the figures here")
    given = parser.parse_args()
    study = study_of(given.data, given.backbone, given.trials, given.epochs)
    folder = Path(tempfile.mkdtemp(prefix="ftsearch-whole-"))
    try:
        timeline, candidates = in_own_process(ours, study, folder)
        os.environ["FTSEARCH_CACHE"] = str(folder / "cache")
        timelines = [timeline, in_own_process(with_optuna, study, given.data, candidates, given.epochs)]
        if not given.without_ray:
            timelines.append(in_own_process(with_ray, study, given.data, candidates, given.epochs, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found = summary(timelines)
    show(found, [one.name for one in timelines])
    if given.json:
        found["timelines"] = {one.name: one.points for one in timelines}
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
