"""What keeping the outputs of frozen units saves in a study of any task, at equal metrics.

    python tests/benchmarks/prefix_cache.py STUDY.yaml --epochs 4 --set 'decoder={"kind":"unet","width":64,"depth":1}'

For each share of frozen units the same trials (learning rates differ) are trained twice, with the cache and without,
in turn and in one process, on the same views; nothing is cached when a pair of runs begins. Prints seconds of both,
how many times as fast the cached ones are, and the objective of the last trial of both.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

SHARES = (0.5, 0.8, 1.0)
RATES = (1.0, 0.5, 0.25)
"""By which the learning rates of one trial after the other are multiplied."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--trials", type=int, default=2, choices=(1, 2, 3))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", action="append", default=[], metavar="DECISION=JSON", help="a value other than plain")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["FTSEARCH_CACHE"] = cache
        compare(given)


def compare(given: argparse.Namespace) -> None:
    from search.data.sample import Split
    from search.runtime.study_runtime import open_runtime
    from search.spec.load import load_spec
    from search.training import memory_budget
    from search.training.feature_store import FeatureStore

    spec = load_spec(given.study)
    spec = replace(spec, training=replace(spec.training, epochs=given.epochs, precision="float32"))
    runtime = open_runtime(spec, given.device)
    for split in (Split.TRAIN, Split.VAL):
        runtime.batches(split)
    changes = {name: json.loads(value) for name, _, value in (change.partition("=") for change in given.set)}
    units = len(runtime.space.chain)
    print(
        f"{spec.backbone}, {units} units, {given.trials} trials of {given.epochs} epochs, seconds without / with cache"
    )
    for share in SHARES:
        depth = round(share * units)
        with tempfile.TemporaryDirectory() as folder:
            device = runtime.precision.device
            store = FeatureStore(device, Path(folder), memory_budget.budgets(device, Path(folder)))
            fresh = replace(runtime, store=store)
            took, found, source = {}, {}, ""
            for cached in (False, True):
                begin = time.perf_counter()
                for rate in RATES[: given.trials]:
                    found[cached], source = train(fresh, candidate(fresh, depth, rate, changes), cached=cached)
                took[cached] = time.perf_counter() - begin
        print(
            f"{depth:4d} units frozen: {took[False]:8.1f} / {took[True]:8.1f} s = {took[False] / took[True]:.2f}x; "
            f"{spec.objective} {found[False]:.4f} / {found[True]:.4f}; {source}",
            flush=True,
        )


def candidate(runtime: Any, depth: int, rate: float, changes: dict[str, Any]) -> Any:
    from search.records.study import Json
    from spaces.networks.space import is_structure

    plain = runtime.space.baseline()
    wanted: dict[str, Json] = {"freeze": depth, **changes}
    optimizer = dict(plain.recipe.choices["optimizer"])
    optimizer |= {name: value * rate for name, value in optimizer.items() if name in ("lr_head", "lr_backbone")}
    wanted.setdefault("optimizer", optimizer)
    known = runtime.space.decisions
    shape = {name: value for name, value in wanted.items() if is_structure(known[name])}
    recipe = {name: value for name, value in wanted.items() if not is_structure(known[name])}
    structure = replace(plain.structure, choices={**plain.structure.choices, **shape})
    return replace(plain, structure=structure, recipe=replace(plain.recipe, choices={**plain.recipe.choices, **recipe}))


def train(runtime: Any, chosen: Any, *, cached: bool) -> tuple[float, str]:
    """Return the best objective, and what became of the prefix."""
    from search.records.study import Verdict
    from search.training.fit import fit

    network = runtime.build(chosen, 0)
    plan = runtime.plan(chosen, 0, lambda _: Verdict.CONTINUE, lambda: False, None, network)
    if not cached:
        plan = replace(
            plan,
            train=plan.train.batches,
            val=plan.val.batches,
            forward=lambda network, inputs: network(inputs),
        )
    outcome = fit(network, plan)
    account = outcome.facts.get("prefix", {}).get("train", {})
    said = f"{account.get('source', '')} {account.get('why', '')}".strip()
    return outcome.epochs[(outcome.best_epoch or 1) - 1].metrics[runtime.spec.objective], said


if __name__ == "__main__":
    main()
