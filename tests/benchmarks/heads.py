"""Many heads on one frozen backbone: one by one against all at once.

    python tests/benchmarks/heads.py --heads 32 --json heads.json [--data FOLDER]

Trains the same heads (shapes and recipes drawn from the default space, a fixed seed) three ways and prints seconds
and ratios, measured side by side in one run:

- alone: one after another, each running the backbone in every epoch;
- alone on ready features: one after another on features that are in memory already, what a prefix cache gives;
- together: one forward pass of the backbone per epoch for all, stacked heads behind it;
- together on ready features.

The accuracies of all ways are compared too: they are the same heads.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from search.errors import FinetuneError
from search.records.study import Verdict
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import from_data
from search.training.epoch import Batch
from search.training.fit import EpochBatches, TrainingPlan, TrainingResult, fit
from search.training.heads import Behind, StackedHead, fit_heads
from spaces.networks.space import Random

SEED = 0


def runtime(data: Path | None, size: int, epochs: int) -> StudyRuntime:
    spec = {
        "name": "heads",
        "data": {"path": str(data)} if data else {"format": "digits"},
        "backbone": "mobilenet_v2",
        "input_size": size,
        "space": {"freeze": {}, "head": {}, "dropout": {}, "penalty": {}, "optimizer": {}},
        "training": {"epochs": epochs, "augmentation": "light" if data else "none"},
    }
    return open_runtime(from_data(spec, base=Path.cwd()), "auto")


def members(own: StudyRuntime, count: int) -> list[StackedHead]:
    """Return ``count`` heads of the space behind the whole frozen backbone, on the same batches."""
    found = []
    for seed in range(count):
        drawn = own.space.sample(Random(seed))
        choices = {**drawn.structure.choices, "freeze": len(own.space.chain)}
        candidate = replace(drawn, structure=replace(drawn.structure, choices=choices))
        values = own.space.values(candidate)
        plan = own.plan(candidate, seed, lambda _: Verdict.CONTINUE, lambda: False, None)
        found.append(StackedHead(own.build(candidate, seed), plan, values["optimizer"], values["penalty"]))
    first = found[0].plan
    return [replace(one, plan=replace(one.plan, train=first.train, val=first.val)) for one in found]


@dataclass
class Ready:
    """Batches kept in memory, the same ones in the same order as what they were read from."""

    epochs: list[list[Batch]]

    def epoch(self, number: int) -> list[Batch]:
        return self.epochs[(number - 1) % len(self.epochs)]


def ready(epochs: EpochBatches, count: int) -> Ready:
    return Ready([list(epochs.epoch(number)) for number in range(1, count + 1)])


def alone(
    found: list[StackedHead], train: EpochBatches | None = None, val: EpochBatches | None = None
) -> list[TrainingResult]:
    """Train one after another; on ready features when they are given."""
    outcomes = []
    for member in found:
        plan: TrainingPlan = member.plan
        network = member.network
        if train is not None and val is not None:
            plan = replace(plan, train=train, val=val)
            network.prefix = lambda features: features  # type: ignore[method-assign]  # they are its output already
        outcomes.append(fit(network, plan))
    return outcomes


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin, result


def accuracies(outcomes: list[TrainingResult | FinetuneError]) -> list[float]:
    found = [
        max(epoch.metrics["accuracy"] for epoch in one.epochs) for one in outcomes if isinstance(one, TrainingResult)
    ]
    if len(found) < len(outcomes):
        raise RuntimeError(f"{len(outcomes) - len(found)} heads failed")
    return found


def measure(own: StudyRuntime, heads: int, epochs: int) -> dict[str, Any]:
    found: dict[str, Any] = {"heads": heads, "epochs": epochs, "device": str(own.precision.device)}
    first = members(own, heads)[0]
    behind = [Behind(split, first.network, own.precision) for split in (first.plan.train, first.plan.val)]
    spent, features = timed(lambda: (ready(behind[0], epochs), ready(behind[1], 1)))
    found["features_s"] = spent
    results = {}
    for name, run in (
        ("alone", lambda: alone(members(own, heads))),
        ("together", lambda: fit_heads(members(own, heads), *behind)),
        ("alone_ready", lambda: alone(members(own, heads), *features)),
        ("together_ready", lambda: fit_heads(members(own, heads), *features)),
    ):
        found[f"{name}_s"], outcomes = timed(run)
        results[name] = accuracies(outcomes)
    reference = results["alone"]
    found["accuracy"] = sum(reference) / heads
    for name, values in results.items():
        found[f"{name}_largest_difference"] = max(abs(a - b) for a, b in zip(values, reference, strict=True))
    found["ratio"] = found["alone_s"] / found["together_s"]
    found["ratio_on_ready_features"] = found["alone_ready_s"] / found["together_ready_s"]
    found["ratio_with_cache"] = found["alone_s"] / (found["features_s"] + found["together_ready_s"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="an image folder; scikit-learn's digits by default")
    parser.add_argument("--heads", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--size", type=int, help="input size in pixels; 224 for a folder, 32 for the digits")
    parser.add_argument("--json", type=Path, help="write the figures here")
    given = parser.parse_args()
    own = runtime(given.data, given.size or (224 if given.data else 32), given.epochs)
    found = measure(own, given.heads, given.epochs)
    print(f"{given.heads} heads, {given.epochs} epochs, {found['device']}, mean accuracy {found['accuracy']:.4f}")
    for name in ("alone", "together", "alone_ready", "together_ready"):
        print(f"{name:16}{found[f'{name}_s']:9.2f} s   accuracies differ by {found[f'{name}_largest_difference']:.4f}")
    print(f"backbone once   {found['features_s']:9.2f} s")
    print(f"together is {found['ratio']:.1f} times as fast as one by one,")
    print(f"  {found['ratio_on_ready_features']:.1f} times on features that are ready,")
    print(f"  {found['ratio_with_cache']:.1f} times when features are cached as well")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
