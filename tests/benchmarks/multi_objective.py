"""Accuracy against parameters within the same seconds: with every trial whole, and with pruning.

    python tests/benchmarks/multi_objective.py --data FOLDER --seconds 120 --epochs 8 --json multi_objective.json

FOLDER holds ``train`` and ``val``, a folder per class in each. For each seed the same two-objective study runs through
``search.api.run_study`` three times, each with an empty cache, until its trials have used ``--seconds``: without
pruning, with the pruner's word on accuracy alone (``pruning: primary``), and with ``pruning: pareto_safe``. The order
changes from seed to seed, so that none always runs on a cold machine.

Prints how many candidates ended (complete or pruned) as a ratio to the run without pruning, and the hypervolume of the
front of the complete trials. Its reference point is accuracy 0 at 1.1 times the largest number of parameters among all
complete trials of the seed; 1 would be accuracy 1 with no parameters. Bars: at least 1.5 times as many candidates,
mean hypervolume no smaller than without pruning; passed when one of the two ways of pruning reaches both.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from search.api import run_study
from search.records.pareto import hypervolume
from search.records.study import StudyRecord, TrialState

BAR = 1.5
_BEYOND = 1.1
WAYS = ("none", "primary", "pareto_safe")
BOTH = (True, False)


class Run(NamedTuple):
    """What one study came to."""

    seed: int
    way: str
    complete: int
    pruned: int
    seconds: float
    front: tuple[tuple[float, float], ...]
    largest: float

    @property
    def ended(self) -> int:
        return self.complete + self.pruned


def study_of(asked: argparse.Namespace, seed: int, way: str) -> dict[str, Any]:
    pruned = {"pruner": "none"} if way == "none" else {"pruner": asked.pruner, "pruning": way}
    return {
        "name": f"weighed-{way}-{seed}",
        "data": {"path": str(asked.data.absolute())},
        "backbone": asked.backbone,
        "weights": asked.weights,
        "input_size": asked.size,
        "space": {"freeze": {}, "tail": {}, "head": {"hidden": 1}, "dropout": {}, "optimizer": {}},
        "training": {"epochs": asked.epochs, "batch_size": 32},
        "search": {
            "trials": 100_000,
            "budget": {"gpu_seconds": asked.seconds},
            "sampler": {"name": asked.sampler},
            "seed": seed,
            **pruned,
        },
        "objectives": ["accuracy", "parameters"],
    }


def run(asked: argparse.Namespace, seed: int, way: str) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FTSEARCH_CACHE"] = f"{folder}/cache"
        place = {"storage": f"sqlite:///{folder}/store.db", "folder": f"{folder}/runs"}
        found = run_study(study_of(asked, seed, way), device=asked.device, workers=1, report=False, **place)
        return _summed(found.study, seed, way)


def _summed(study: StudyRecord, seed: int, way: str) -> Run:
    counts = [sum(trial.state is state for trial in study.trials) for state in (TrialState.COMPLETE, TrialState.PRUNED)]
    front = tuple((trial.objectives["accuracy"], trial.objectives["parameters"]) for trial in study.front)
    largest = max(trial.objectives["parameters"] for trial in study.ranking)
    return Run(seed, way, *counts, sum(trial.seconds for trial in study.trials), front, largest)


def volumes(runs: Sequence[Run]) -> dict[str, float]:
    """Return the hypervolume of every run of a seed, by its way, as a share of what is possible."""
    largest = _BEYOND * max(one.largest for one in runs)
    return {one.way: hypervolume(one.front, (0.0, largest), BOTH) / largest for one in runs}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--weights", default="default")
    parser.add_argument("--size", type=int, default=96, help="pixels of an image's side")
    parser.add_argument("--seconds", type=float, default=120.0, help="that the trials of each study may use")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pruner", default="halving", choices=["median", "halving", "hyperband"])
    parser.add_argument("--sampler", default="tpe", choices=["tpe", "cost_aware", "nsga2", "nsga3", "random"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    runs: list[Run] = []
    shares: dict[str, list[float]] = {way: [] for way in WAYS}
    for seed in range(asked.seeds):
        ways = WAYS[seed % len(WAYS) :] + WAYS[: seed % len(WAYS)]
        own = {way: run(asked, seed, way) for way in ways}
        found = volumes(list(own.values()))
        for way in WAYS:
            one = own[way]
            shares[way].append(found[way])
            print(
                f"seed {seed}, {way:11}: {one.ended:4} candidates ({one.complete} complete, {one.pruned} pruned) in "
                f"{one.seconds:.0f} s, hypervolume {found[way]:.4f}, {len(one.front)} on the front",
                flush=True,
            )
        runs += own.values()
    ended = {way: mean(one.ended for one in runs if one.way == way) for way in WAYS}
    verdicts = {}
    for way in WAYS[1:]:
        ratio, change = ended[way] / ended["none"], mean(shares[way]) / mean(shares["none"])
        verdicts[way] = {"ratio": ratio, "hypervolume": change}
        print(
            f"{way}: {ratio:.2f} times as many candidates as without pruning (bar {BAR}), "
            f"mean hypervolume {mean(shares[way]):.4f} against {mean(shares['none']):.4f} ({change:.3f} of it, bar 1)"
        )
    if asked.json:
        asked.json.write_text(json.dumps({"runs": [one._asdict() for one in runs], "verdicts": verdicts}, indent=2))
    passed = any(one["ratio"] >= BAR and one["hypervolume"] >= 1 for one in verdicts.values())
    print("passed" if passed else "FAILED")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
