"""What a trial costs: a tutorial's loop (A) against ours (B) and against the arithmetic that cannot be avoided (C).

    python tests/benchmarks/trial_cost.py --data DIR --epochs 3 --json trial_cost.json

The same list of candidates, freeze depths spread over the chain, is trained three times, depth by depth in turn:
A as a user would write it in an Optuna objective (ImageFolder, RandomResizedCrop, DataLoader with 2 workers, the
whole network in training mode); B through this project's runtime, nothing cached when the list begins, with the
costs of opening and decoding spread over the list; C only the prefix once and forward and backward of what is
trained, on tensors that lie in memory. Each has a process of its own. Prints A/B and B/C for every depth and in
total, and the best validation accuracies.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

TIMES = ("seconds", "cpu_seconds")
SHARES = (0.0, 0.3, 0.5, 0.7, 0.8, 1.0)
"""Of the chain's units that are frozen."""


@dataclass(frozen=True)
class Job:
    """What all three are asked for."""

    data: str
    backbone: str
    weights: str
    epochs: int
    batch_size: int
    input_size: int
    precision: str
    trials: int


@dataclass(frozen=True)
class Ran:
    """What one candidate took, and how good it became (0 for the floor, which learns nothing worth knowing).

    ``cpu_seconds`` are those of all processors and child processes: on a machine that is shared they tell more.
    """

    seconds: float
    cpu_seconds: float
    accuracy: float


class Watch:
    """Wall-clock and processor seconds since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), self._used()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._wall, self._used() - self._cpu

    @staticmethod
    def _used() -> float:
        found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(usage.ru_utime + usage.ru_stime for usage in found)


def study(job: Job) -> Any:
    from search.spec.load import from_data

    return from_data(
        {
            "name": "trial-cost",
            "data": {"format": "image_folder", "path": str(Path(job.data).absolute())},
            "backbone": job.backbone,
            "weights": job.weights,
            "input_size": [job.input_size, job.input_size],
            "space": {"freeze": {}},
            "training": {"epochs": job.epochs, "batch_size": job.batch_size, "precision": job.precision},
            "search": {"trials": job.trials},
        }
    )


@cache
def runtime(job: Job) -> Any:
    from search.runtime.study_runtime import open_runtime

    return open_runtime(study(job), "auto")


def opening(job: Job) -> tuple[float, float]:
    """Return the wall-clock and processor seconds that opening the study and decoding its images take."""
    import torchvision  # noqa: F401  # both loops need it: importing is not part of either

    from search.runtime import study_runtime as _  # noqa: F401

    watch = Watch()
    runtime(job).decode()
    return watch.read()


def candidate_of(job: Job, depth: int) -> Any:
    from spaces.candidate import Candidate

    plain = runtime(job).space.baseline()
    return Candidate(replace(plain.structure, choices={**plain.structure.choices, "freeze": depth}), plain.recipe)


# --- A: a tutorial's loop --------------------------------------------------------------------------------------------


def tutorial(job: Job, depth: int) -> Ran:
    import torch
    from torch import nn
    from torch.utils.data import DataLoader

    watch = Watch()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_set, val_set, classes = _tutorial_data(job)
    pin = device.type != "cpu"
    train = DataLoader(train_set, batch_size=job.batch_size, shuffle=True, num_workers=2, pin_memory=pin)
    val = DataLoader(val_set, batch_size=job.batch_size, num_workers=2, pin_memory=pin)
    model = _tutorial_model(job, depth, classes).to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3, momentum=0.9)
    best = 0.0
    for _ in range(job.epochs):
        model.train()
        running_loss = 0.0
        for images, labels in train:
            images, labels = images.to(device), labels.to(device)  # noqa: PLW2901
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item() * len(images)
        model.eval()
        hits = 0
        with torch.no_grad():
            for images, labels in val:
                images, labels = images.to(device), labels.to(device)  # noqa: PLW2901
                hits += (model(images).argmax(1) == labels).sum().item()
        best = max(best, hits / len(val_set))
    return Ran(*watch.read(), best)


def _tutorial_data(job: Job) -> tuple[Any, Any, int]:
    from torch.utils.data import Subset
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    normalize = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    size = job.input_size
    varied = transforms.Compose(
        [
            transforms.RandomResizedCrop(size),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            normalize,
        ]
    )
    plain = transforms.Compose(
        [transforms.Resize(round(size * 256 / 224)), transforms.CenterCrop(size), transforms.ToTensor(), normalize]
    )
    root = Path(job.data)
    if (root / "train").is_dir() and (root / "val").is_dir():
        train_set = ImageFolder(str(root / "train"), varied)
        return train_set, ImageFolder(str(root / "val"), plain), len(train_set.classes)
    from search.data.sample import Split

    kept = {sample.input.name for sample in runtime(job).dataset.of(Split.VAL)}
    train_all, val_all = ImageFolder(str(root), varied), ImageFolder(str(root), plain)
    inside = [str(Path(path).absolute()) in kept for path, _ in train_all.samples]
    train_part = Subset(train_all, [place for place, is_val in enumerate(inside) if not is_val])
    return train_part, Subset(val_all, [place for place, is_val in enumerate(inside) if is_val]), len(train_all.classes)


def _tutorial_model(job: Job, depth: int, classes: int) -> Any:
    from torch import nn

    from spaces import backbones

    size = (job.input_size, job.input_size)
    backbone = backbones.resolve(job.backbone)
    # The weights go through the project's loader, which is quicker than a tutorial's download check would be.
    chain = backbone.pretrained(job.weights, size).chain
    model = backbone.build(size)
    model.load_state_dict(chain.state_dict(), strict=False)
    frozen = {name for unit in chain.units[:depth] for name in unit.module.state_dict()}
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name not in frozen
    path = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)][-1]
    last = model.get_submodule(path)
    parent, _, child = path.rpartition(".")
    setattr(model.get_submodule(parent), child, nn.Linear(last.in_features, classes))
    return model


# --- B: ours ---------------------------------------------------------------------------------------------------------


def ours(job: Job, depth: int) -> Ran:
    from search.records.study import Verdict
    from search.training.fit import fit

    watch = Watch()
    opened, candidate = runtime(job), candidate_of(job, depth)
    network = opened.build(candidate, depth)
    plan = opened.plan(candidate, depth, lambda _: Verdict.CONTINUE, lambda: False, None, network)
    outcome = fit(network, plan)
    best = max(record.metrics["accuracy"] for record in outcome.epochs)
    return Ran(*watch.read(), best)


# --- C: the floor ----------------------------------------------------------------------------------------------------

_bottom: dict[tuple[str, int], tuple[int, list[Any]]] = {}


def floor(job: Job, depth: int) -> Ran:
    """Prefix once, then forward and backward of what is trained, on tensors that lie in memory."""
    import torch

    from search.data.sample import Split
    from search.training.optimizers import optimize

    opened, candidate = runtime(job), candidate_of(job, depth)
    network = opened.build(candidate, depth)
    values = opened.space.values(candidate)
    train, val = opened.batches(Split.TRAIN, 0), opened.batches(Split.VAL)
    views = opened.spec.training.views_for(job.trials, opened.most_epochs(), job.epochs) if depth else 1
    place, autocast = opened.precision.place, opened.precision.autocast
    seconds = cpu_seconds = 0.0
    inputs: dict[str, list[Any]] = {}
    for name, batches, count in (("train", train, views), ("val", val, 1)):
        for view in range(count):
            key = f"{name} {view}"
            start, below = _bottom.get((key, 0), (0, None))
            if below is None:
                below = [place(images) for _, images in batches.every(view + 1, batches.batch_size)]
                _bottom[key, 0] = (0, below)
            start = max((at for name_, at in _bottom if name_ == key and at <= depth), default=0)
            below = _bottom[key, start][1]
            watch = Watch()
            with torch.no_grad(), autocast():
                found = []
                for part in below:
                    features = part
                    for module in network.units[start:depth]:
                        features = module(features)
                    found.append(features)
            _wait(opened)
            took = watch.read()
            seconds, cpu_seconds = seconds + took[0], cpu_seconds + took[1]
            _bottom[key, depth] = (depth, found)
            inputs[key] = found
    labels = {"train": _labels(train), "val": _labels(val)}
    optimizer, _ = optimize(network, values["optimizer"], values["penalty"], 1)
    watch = Watch()
    for epoch in range(job.epochs):
        network.train()
        for features, targets in zip(inputs[f"train {epoch % views}"], labels["train"], strict=True):
            if len(features) == 1:
                continue
            optimizer.zero_grad()
            with autocast():
                loss = torch.nn.functional.cross_entropy(network.suffix(features), targets)
            loss.backward()
            optimizer.step()
        network.eval()
        with torch.inference_mode(), autocast():
            for features in inputs["val 0"]:
                network.suffix(features)
    _wait(opened)
    took = watch.read()
    return Ran(seconds + took[0], cpu_seconds + took[1], 0.0)


def _labels(batches: Any) -> list[Any]:
    import torch

    count = batches.count
    return [batches.targets(part, 1) for part in torch.arange(count).split(batches.batch_size)]


def _wait(opened: Any) -> None:
    import torch

    if opened.precision.device.type == "cuda":
        torch.cuda.synchronize()


# --- the three side by side ------------------------------------------------------------------------------------------


def compare(job: Job, depths: Sequence[int], tell: Callable[[str], None]) -> dict[str, Any]:
    """Run every depth three times, one after the other, and return what they took."""
    rows: list[dict[str, Any]] = []
    with three_processes() as (first, second, third):
        started = second.submit(opening, job).result()
        third.submit(opening, job).result()
        tell(f"opened and decoded in {started[0]:.1f} s")
        names = ("A s", "B s", "C s", "A/B", "B/C", "A/B cpu", "B/C cpu", "A acc", "B acc")
        tell(f"{'frozen':>8} " + " ".join(f"{name:>8}" for name in names))
        for depth in depths:
            a, b, c = (
                process.submit(part, job, depth).result()
                for process, part in ((first, tutorial), (second, ours), (third, floor))
            )
            share = [spent / len(depths) for spent in started]
            b = replace(b, seconds=b.seconds + share[0], cpu_seconds=b.cpu_seconds + share[1])
            rows.append(_row(depth, a, b, c))
            tell(_line(str(depth), rows[-1]))
    totals = {f"{part}_{name}": sum(row[f"{part}_{name}"] for row in rows) for part in "abc" for name in TIMES}
    accuracy = {name: sum(row[name] for row in rows) / len(rows) for name in ("a_accuracy", "b_accuracy")}
    whole = totals | accuracy
    whole |= _ratios(whole)
    tell(_line("total", whole))
    return {
        "total_ratio": whole["ratio"],
        "floor_ratio": whole["floor_ratio"],
        "total_cpu_ratio": whole["cpu_ratio"],
        "opening_seconds": started[0],
        "accuracy_difference": accuracy["b_accuracy"] - accuracy["a_accuracy"],
        "rows": rows,
        "total": whole,
        "job": asdict(job),
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
    }


def _row(depth: int, a: Ran, b: Ran, c: Ran) -> dict[str, Any]:
    times = {f"{part}_{name}": getattr(ran, name) for part, ran in zip("abc", (a, b, c), strict=True) for name in TIMES}
    return {"depth": depth, **times, **_ratios(times), "a_accuracy": a.accuracy, "b_accuracy": b.accuracy}


def _ratios(times: dict[str, float]) -> dict[str, float]:
    return {
        "ratio": times["a_seconds"] / times["b_seconds"],
        "floor_ratio": times["b_seconds"] / times["c_seconds"],
        "cpu_ratio": times["a_cpu_seconds"] / times["b_cpu_seconds"],
        "floor_cpu_ratio": times["b_cpu_seconds"] / times["c_cpu_seconds"],
    }


def _line(name: str, row: dict[str, Any]) -> str:
    keys = ("a_seconds", "b_seconds", "c_seconds", "ratio", "floor_ratio", "cpu_ratio", "floor_cpu_ratio")
    times = " ".join(f"{row[key]:8.2f}" for key in keys)
    return f"{name:>8} {times} {row['a_accuracy']:8.4f} {row['b_accuracy']:8.4f}"


class three_processes:  # noqa: N801  # a context manager used like a function
    """A process for each part, so that none changes how another runs; ours begins with an empty cache."""

    def __enter__(self) -> tuple[ProcessPoolExecutor, ProcessPoolExecutor, ProcessPoolExecutor]:
        context = multiprocessing.get_context("spawn")
        self._folders = [tempfile.TemporaryDirectory(prefix="trial-cost-") for _ in range(3)]
        self._pools = [
            ProcessPoolExecutor(1, mp_context=context, initializer=_own_cache, initargs=(folder.name,))
            for folder in self._folders
        ]
        first, second, third = self._pools
        return first, second, third

    def __exit__(self, *_: object) -> None:
        for pool in self._pools:
            pool.shutdown()
        for folder in self._folders:
            folder.cleanup()


def _own_cache(folder: str) -> None:
    os.environ["FTSEARCH_CACHE"] = folder


def depths_of(job: Job, shares: Sequence[float]) -> Iterator[int]:
    from spaces import backbones

    size = (job.input_size, job.input_size)
    units = len(backbones.resolve(job.backbone).describe(size))
    seen: set[int] = set()
    for share in shares:
        depth = round(share * units)
        if depth not in seen:
            seen.add(depth)
            yield depth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="an image folder: train/ and val/, or a folder per class")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--weights", default="default")
    parser.add_argument("--input", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--precision", default="auto", help="of ours and the floor")
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES, help="of the units that are frozen")
    given = parser.parse_args()
    plain = Job(given.data, given.backbone, given.weights, given.epochs, given.batch, given.input, given.precision, 1)
    depths = list(depths_of(plain, given.shares))
    found = compare(replace(plain, trials=len(depths)), depths, lambda line: print(line, flush=True))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
