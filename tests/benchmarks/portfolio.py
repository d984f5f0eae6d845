"""Measure the portfolio's members, choose and order them greedily, say how good the choice is on sets left out.

    python tests/benchmarks/portfolio.py --data FOLDER_OF_SETS [--write]

FOLDER_OF_SETS holds sets; a set is ``train`` and ``val`` with a folder per class (``test`` is not looked at). Every
member of ``search/trials/portfolio.json``, and of its ``pool`` of those that were not chosen, is trained once on every
set as a trial of a study would be; what is measured stands in ``portfolio_table.json`` beside it and is not measured
again. Without ``--data`` the table is only read.

The portfolio grows by the member that lowers the mean regret most for the seconds that it takes: the best accuracy of
all members on a set, less the best of those chosen, mean over sets (as in auto-sklearn 2,
https://arxiv.org/abs/2007.04074). The linear probe goes first, because it costs a second and everything else is better
for being compared with it. Leave-one-set-out chooses from all sets but one and looks at the regret on that one.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from search.records.study import Verdict
from search.runtime import few_labels
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import from_data
from search.training.fit import fit
from search.trials.portfolio import FILE, PortfolioCandidate
from spaces.networks.described_candidates import fulfilled

TABLE = FILE.with_name("portfolio_table.json")
KIND = "images"
MOST = 15
PREFIXES = (1, 2, 3, 4, 6, 8, 12)
SPACE: dict[str, Any] = {
    "freeze": {},
    "tail": {},
    "pattern": {},
    "lora": {"ranks": [4, 8, 16]},
    "insert": {"widths": [8, 32]},
    "stride": {},
    "head": {},
    "dropout": {},
    "penalty": {"kinds": ["none", "l1", "l2", "decay"]},
    "optimizer": {"layer_decay": [0.5, 1.0]},
    "label_smoothing": {},
    "mixing": {},
    "weight_average": {},
    "augmentation": {"strengths": ["none", "light", "medium", "strong"]},
}
Table = Mapping[str, Mapping[str, float]]
"""Accuracy by set and member."""


def offered() -> list[PortfolioCandidate]:
    """Return the members of the portfolio and of the pool, in the file's order."""
    known = json.loads(FILE.read_text(encoding="utf-8"))
    listed = [*known["portfolios"][KIND], *known.get("pool", {}).get(KIND, ())]
    return [PortfolioCandidate(one["name"], one["wishes"], tuple(one["needs"]), one["why"]) for one in listed]


def measure(data: Path, given: argparse.Namespace) -> None:
    """Train what the table lacks and write it down, one member at a time."""
    names = sorted(path.name for path in data.iterdir() if (path / "train").is_dir())
    opened: dict[str, StudyRuntime] = {}
    for member in offered():
        for name in names:
            table = read_table()
            if member.name in table["measured"].get(name, {}):
                continue
            if name not in opened:
                opened[name] = _runtime(data / name, given)
            found = _trained(opened[name], member, given.seed)
            if found is None:
                continue
            table["settings"] = {"backbone": given.backbone, "input_size": given.input_size, "epochs": "auto"}
            table["settings"] |= {"batch_size": given.batch_size, "images": "validation"}
            table["measured"].setdefault(name, {})[member.name] = found
            TABLE.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            print(f"{name:12} {member.name:22} {found['accuracy']:.3f}  {found['seconds']:6.1f} s", flush=True)


def read_table() -> dict[str, Any]:
    """Return what was measured so far."""
    return json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {"settings": {}, "measured": {}}


def _runtime(folder: Path, given: argparse.Namespace) -> StudyRuntime:
    spec = {
        "name": folder.name,
        "data": {"format": "image_folder", "path": str(folder)},
        "backbone": given.backbone,
        "input_size": given.input_size,
        "space": SPACE,
        "training": {"batch_size": given.batch_size, "augmentation": "light"},
    }
    return open_runtime(from_data(spec, base=Path.cwd()), "auto")


def _trained(own: StudyRuntime, member: PortfolioCandidate, seed: int) -> dict[str, float] | None:
    """Return the best epoch's validation accuracy and the CPU seconds of a training as a trial's."""
    candidate = fulfilled(own.space, member.wishes, member.needs)
    if candidate is None:
        print(f"{member.name} has no place on this backbone")
        return None
    begin = time.process_time()
    network = own.build(candidate, seed)
    plan = own.plan(candidate, seed, lambda _: Verdict.CONTINUE, lambda: False, None, network)
    outcome = fit(network, few_labels.adapted(own, plan, candidate, network))
    best = outcome.epochs[(outcome.best_epoch or 1) - 1]
    return {"accuracy": round(best.metrics["accuracy"], 4), "seconds": round(time.process_time() - begin, 1)}


def regret(table: Table, chosen: Sequence[str], sets: Sequence[str]) -> float:
    """Return the best accuracy of all members less the best of ``chosen``, mean over ``sets``."""
    return fmean(max(table[name].values()) - max(table[name][member] for member in chosen) for name in sets)


def greedy(table: Table, sets: Sequence[str], first: str, seconds: Mapping[str, float], most: int = MOST) -> list[str]:
    """Return members in the order in which they lower the mean regret over ``sets`` most for their ``seconds``.

    Once there is none left to lower, those with the best mean accuracy follow.
    """
    names = sorted(set.intersection(*(set(table[name]) for name in table)))
    chosen = [first]
    while len(chosen) < min(most, len(names)):
        left, before = [name for name in names if name not in chosen], regret(table, chosen, sets)
        gains = {one: before - regret(table, [*chosen, one], sets) for one in left}
        means = {one: fmean(table[name][one] for name in sets) for one in left}
        chosen.append(max(left, key=lambda one: (gains[one] / seconds[one], means[one])))
    return chosen


def left_out(table: Table, first: str, seconds: Mapping[str, float]) -> dict[int, tuple[float, float]]:
    """Return, by how many members are tried, the mean regret on sets left out and that of random orders."""
    found: dict[int, tuple[float, float]] = {}
    chance = random.Random(0)
    names = sorted(set.intersection(*(set(table[name]) for name in table)))
    orders = [chance.sample(names, len(names)) for _ in range(200)]
    for count in (count for count in PREFIXES if count <= len(names)):
        own = [
            regret(table, greedy(table, [other for other in table if other != name], first, seconds)[:count], [name])
            for name in table
        ]
        others = [regret(table, order[:count], list(table)) for order in orders]
        found[count] = (fmean(own), fmean(others))
    return found


def write(order: Sequence[str], settings: Mapping[str, Any], sets: Sequence[str]) -> None:
    """Write the members in ``order`` as the portfolio, the others as the pool."""
    known = json.loads(FILE.read_text(encoding="utf-8"))
    listed = {one["name"]: one for one in (*known["portfolios"][KIND], *known.get("pool", {}).get(KIND, ()))}
    known["portfolios"][KIND] = [listed[name] for name in order]
    known["pool"] = {KIND: [one for name, one in listed.items() if name not in order]}
    known["chosen"] = {
        KIND: f"greedily from portfolio_table.json: {', '.join(sets)}; {settings['backbone']}",
        "tokens, segmentation, detection": "by hand, from what is known; not by measurement",
    }
    FILE.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--input-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="write the order to portfolio.json")
    given = parser.parse_args()
    if given.data:
        measure(given.data, given)
    stored = read_table()
    known = [member.name for member in offered()]
    table = {
        name: {member: found["accuracy"] for member, found in rows.items() if member in known}
        for name, rows in stored["measured"].items()
    }
    seconds = {
        member: max(fmean(rows[member]["seconds"] for rows in stored["measured"].values()), 1.0)
        for member in set.intersection(*(set(rows) for rows in table.values()))
    }
    order = greedy(table, list(table), known[0], seconds)
    print(f"\n{'member':22} {'mean':>6} {'regret so far':>14}   {'  '.join(table)}")
    for place, name in enumerate(order, 1):
        row = "  ".join(f"{table[data][name]:.3f}".rjust(len(data)) for data in table)
        mean = fmean(table[data][name] for data in table)
        print(f"{name:22} {mean:6.3f} {regret(table, order[:place], list(table)):14.4f}   {row}")
    print("\nleave one set out: members tried, mean regret on the set left out, of random orders")
    for count, (own, others) in left_out(table, known[0], seconds).items():
        print(f"{count:4}  {own:.4f}  {others:.4f}")
    if given.write:
        write(order, stored["settings"], list(table))


if __name__ == "__main__":
    main()
