"""Workers retrain candidates outside of the search: confirmations, refits, final models.

A worker whose search has nothing left to do looks for such work, and ``ftsearch confirm`` and ``refit`` start workers
that do nothing else. Claims, leases, retries and resuming are those of trials; no sampler is asked and no pruner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from search.records.study import TrialState
from search.sampling.optuna_study import Sampling
from search.sampling.pruners import Curves
from search.store import repeats
from search.store.history import StudyHistory
from search.store.leases import Claim
from search.trials import confirmation, refit
from search.trials.context import TrialContext
from search.workers.worker import StopSignal, work

RUNS: Mapping[str, Callable[[TrialContext, Claim], TrialState]] = {
    repeats.CONFIRM: confirmation.run,
    repeats.REFIT: refit.run,
    repeats.FINAL: partial(refit.run, kind=repeats.FINAL),
}
"""What a worker does with a claim of each kind."""


class NoSampling(Sampling):
    """The storage of trainings that sample nothing: their candidates are given, Optuna never sees them."""

    def __init__(self) -> None:
        """Open nothing."""

    def unfinished(self) -> tuple[int, ...]:
        return ()

    def close(self) -> None:
        """Nothing to close."""


def work_for(context: TrialContext, stop_signal: StopSignal, name: str, kind: str, idle_exit_s: float = 0.0) -> None:
    """Run the trainings called ``name``, of ``context``'s study and of this ``kind``, until all are done.

    Raises:
        RunError: so many have failed in a row that the cause lies elsewhere.
    """
    spec = context.runtime.spec
    # The search's budget is not theirs, and what fails or fits in memory is remembered under their own name.
    own = replace(spec, name=name, search=replace(spec.search, budget=None))
    context = replace(
        context,
        runtime=replace(context.runtime, spec=own),
        reserve=None,
        sampling=NoSampling(),
        history=StudyHistory(context.engine, name, spec.objective),
        curves=Curves(maximize=spec.maximize, epochs=context.runtime.most_epochs()),
    )
    work(context, stop_signal, idle_exit_s=idle_exit_s, run=RUNS[kind])


def help_out(context: TrialContext, stop_signal: StopSignal) -> bool:
    """Run the study's waiting confirmations and refits; return whether there were any."""
    study = repeats.with_work(context.engine, context.runtime.spec.name)
    for kind, name in study:
        if not stop_signal() and not stop_signal.is_time_up:
            work_for(context, stop_signal, name, kind)
    return bool(study)
