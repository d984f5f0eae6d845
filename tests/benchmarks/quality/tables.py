"""The comparison in print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from quality import comparison
from quality.comparison import Grid, Mean
from quality.runs import Run


def report(runs: Sequence[Run], ours: str) -> Iterator[str]:
    """Yield the lines of the whole report, budget by budget."""
    budgets = sorted({run.asked.budget_s for run in runs})
    tables = {budget: comparison.grid(runs, budget) for budget in budgets}
    for budget, table in tables.items():
        chosen = [run for run in runs if run.asked.budget_s == budget]
        yield from _accuracies(budget, table, chosen)
        yield from _budget(chosen)
        yield from _parts([run for run in chosen if run.asked.contender == ours])
        if ours in table:
            yield from _against(table, ours)
            yield from _sooner(tables, ours, budget)
        yield ""


def _accuracies(budget: float, table: Grid, runs: Sequence[Run]) -> Iterator[str]:
    sets = list(next(iter(table.values()), {}))
    seeds = len(table[next(iter(table))][sets[0]]) if sets else 0
    told = "over seeds" if seeds > 1 else "of so many test images"
    yield f"{budget:g} CPU seconds: test accuracy in %, {seeds} seed{'s' * (seeds != 1)}, ± 95 % {told}"
    if not sets:
        yield "no set and seed that every contender was run on"
        return
    yield f"{'':12}" + "".join(f"{data[:12]:>13}" for data in sets) + f"{'mean':>13}{'rank':>7}"
    ranks = comparison.mean_ranks(table)
    single = {(run.asked.contender, run.asked.set): run for run in runs}
    for name, by_set in table.items():
        cells = []
        for data, values in by_set.items():
            run = single[name, data]
            mean = comparison.mean_of(values)
            if mean.half is None and run.images:
                mean = comparison.of_images(run.hits, run.images)
            cells.append(_cell(mean))
        mean = _cell(comparison.overall(by_set))
        yield f"{name:12}" + "".join(f"{cell:>13}" for cell in cells) + f"{mean:>13}{ranks[name]:7.2f}"


def _cell(mean: Mean) -> str:
    half = "" if mean.half is None else f" ±{100 * mean.half:.1f}"
    return f"{100 * mean.value:.1f}{half}"


def _budget(runs: Sequence[Run]) -> Iterator[str]:
    yield "budget used, in CPU seconds: mean (most), overruns, mean wall seconds, mean load of the machine at the start"
    for name in dict.fromkeys(run.asked.contender for run in runs):
        own = [run for run in runs if run.asked.contender == name]
        seconds = [run.cpu_s for run in own]
        over = [run.overrun_s for run in own if run.overrun_s]
        told = f"{len(over)} of {len(own)}" + (f", at most {max(over):.1f} s" if over else "")
        wall, load = np.mean([run.wall_s for run in own]), np.mean([run.load for run in own])
        yield f"{name:12}{np.mean(seconds):8.1f} ({max(seconds):.1f}); {told}; wall {wall:.0f}; load {load:.1f}"
        yield from (f"  no model: {run.asked.set}, seed {run.asked.seed}: {run.failure}" for run in own if run.failure)


def _parts(runs: Sequence[Run]) -> Iterator[str]:
    names = list(dict.fromkeys(name for run in runs for name in run.parts))
    if names:
        means = {name: float(np.mean([run.parts.get(name, 0.0) for run in runs])) for name in names}
        seconds = ", ".join(f"{name} {value:.1f}" for name, value in means.items())
        yield f"where {runs[0].asked.contender}'s CPU seconds went, mean: {seconds}"


def _against(table: Grid, ours: str) -> Iterator[str]:
    peer = comparison.best_peer(table, ours)
    if peer is None or not table[ours]:
        return
    found = comparison.paired(table, ours, peer)
    half = "" if found.difference.half is None else f" ± {100 * found.difference.half:.1f}"
    chance = "" if found.p is None else f", p = {found.p:.3f} (paired t-test over sets)"
    sets = len(table[ours])
    yield f"{ours} against the best single peer, {peer}: {100 * found.difference.value:+.1f}{half} points{chance}"
    yield f"  better on {found.wins}, within half a point on {found.draws}, worse on {found.losses} of {sets} sets"
    near = comparison.best_or_near(table, ours)
    others = [data for data in table[ours] if data not in near]
    missed = f"; another is best on {', '.join(others)}" if others else ""
    yield f"  best of all or within half a point of it on {len(near)} of {sets} sets{missed}"


def _sooner(tables: dict[float, Grid], ours: str, budget: float) -> Iterator[str]:
    times = comparison.times_sooner(tables, ours, budget)
    if times:
        each = ", ".join(f"{data} {value:g}" for data, value in times.items())
        middle = float(np.median(list(times.values())))
        yield f"  the best peer's accuracy of {budget:g} s reached times sooner (0: not): median {middle:g}; {each}"
