"""How much faster trials on texts are when frozen layers are computed once, at equal metrics.

    python tests/benchmarks/text_cache.py --data PATH [--limit 600] [--epochs 3] [--freeze 2 4 6]

Trains the same candidates, with the first layers frozen, twice in one process: behind the prefix cache, which starts
empty, and with every frozen layer computed in every epoch. Prints seconds of both, their ratio and both metrics.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

STUDY = """
name: text-cache
task: text
data: {{path: "{data}", limit: {limit}}}
backbone: {backbone}
text: {{max_length: {length}}}
space: {{freeze: {{}}}}
training: {{epochs: {epochs}, batch_size: 32, precision: {precision}, prefix_cache: "{cache}"}}
search: {{trials: 10}}
"""


def run(given: argparse.Namespace, cache: str) -> list[tuple[float, float, str]]:
    """Return seconds, accuracy and what became of the prefix, for each depth."""
    from search.records.study import Verdict
    from search.runtime.study_runtime import open_runtime
    from search.spec.load import parse_spec
    from search.training.fit import fit

    values: dict[str, Any] = {**vars(given), "data": given.data.absolute(), "cache": cache}
    runtime = open_runtime(parse_spec(STUDY.format(**values)))
    plain = runtime.space.baseline()
    found = []
    runtime.decode()
    for depth in given.freeze:
        structure = replace(plain.structure, choices={**plain.structure.choices, "freeze": depth})
        candidate = replace(plain, structure=structure)
        network = runtime.build(candidate, 0)
        begin = time.perf_counter()
        plan = runtime.plan(candidate, 0, lambda _: Verdict.CONTINUE, lambda: False, None, network)
        outcome = fit(network, plan)
        seconds = time.perf_counter() - begin
        best = max(record.metrics["accuracy"] for record in outcome.epochs)
        found.append((seconds, best, outcome.facts["prefix"]["train"]["source"]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a table of texts, or a folder with train, dev ...")
    parser.add_argument("--backbone", default="all-minilm-l6-v2")
    parser.add_argument("--limit", type=int, default=600, help="texts of each part")
    parser.add_argument("--length", type=int, default=64, help="most tokens of a text")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--freeze", type=int, nargs="+", default=[3, 5, 7], help="units that are frozen, one run each")
    parser.add_argument("--precision", default="float32")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="text-cache-") as folder:
        os.environ["FTSEARCH_CACHE"] = folder
        uncached, cached = run(given, "off"), run(given, "auto")
    print(f"{'frozen':>6} {'uncached s':>10} {'cached s':>9} {'ratio':>6} {'accuracy':>9} {'cached':>7}  source")
    for depth, first, second in zip(given.freeze, uncached, cached, strict=True):
        ratio = first[0] / second[0]
        print(f"{depth:6} {first[0]:10.2f} {second[0]:9.2f} {ratio:6.2f} {first[1]:9.4f} {second[1]:7.4f}  {second[2]}")
    whole = sum(one[0] for one in uncached), sum(one[0] for one in cached)
    print(f"{'all':>6} {whole[0]:10.2f} {whole[1]:9.2f} {whole[0] / whole[1]:6.2f}")


if __name__ == "__main__":
    main()
