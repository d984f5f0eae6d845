"""Workers train candidates of a search again, outside of it: confirmations and refits.

A worker whose search has nothing left to do looks for such work, and ``ftsearch confirm`` and ``refit`` start workers
that do nothing else. Claims, leases, retries and resuming are those of trials; no sampler is asked and no pruner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from search.records.study import TrialState
from search.sampling.optuna_study import Sampling
from search.sampling.pruners import Curves
from search.store import repeats
from search.store.history import History
from search.store.leases import Claim
from search.trials import confirmation, refit
from search.trials.trial import Bench
from search.workers.worker import Leaving, work

RUNS: Mapping[str, Callable[[Bench, Claim], TrialState]] = {
    repeats.CONFIRM: confirmation.run,
    repeats.REFIT: refit.run,
}
"""What a worker does with a claim of each kind."""


class NoSampling(Sampling):
    """Candidates that are trained again are given: Optuna hears nothing of them."""

    def __init__(self) -> None:
        """Open nothing."""

    def unfinished(self) -> tuple[int, ...]:
        return ()

    def close(self) -> None:
        """Nothing to close."""


def work_for(bench: Bench, leaving: Leaving, name: str, kind: str, idle_exit_s: float = 0.0) -> None:
    """Run the trainings called ``name``, of ``bench``'s study and of this ``kind``, until all are done.

    Raises:
        RunError: so many have failed in a row that the fault lies elsewhere.
    """
    spec = bench.laboratory.spec
    # The search's budget is not theirs, and what fails or fits in memory is remembered under their own name.
    own = replace(spec, name=name, search=replace(spec.search, budget=None))
    bench = replace(
        bench,
        laboratory=replace(bench.laboratory, spec=own),
        sampling=NoSampling(),
        history=History(bench.engine, name, spec.objective),
        curves=Curves(maximize=spec.maximize, epochs=spec.training.epochs),
    )
    work(bench, leaving, idle_exit_s=idle_exit_s, run=RUNS[kind])


def help_out(bench: Bench, leaving: Leaving) -> bool:
    """Run what waits of the study's confirmations and refits; return whether there was any."""
    found = repeats.with_work(bench.engine, bench.laboratory.spec.name)
    for kind, name in found:
        if not leaving() and not leaving.is_time_up:
            work_for(bench, leaving, name, kind)
    return bool(found)
