from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from search.errors import TrialError
from search.records.study import TrialState
from search.spec.search_options import Budget
from search.store import reading, repeats, writing
from search.store.leases import Claim
from search.trials.context import TrialContext
from search.trials.observer import Silent
from search.workers import retraining
from search.workers.shutdown import StopSignal


@pytest.fixture
def context(ready: Callable[..., TrialContext]) -> TrialContext:
    """The context of a study whose search has ended and whose budget is spent."""
    return ready(lambda spec: replace(spec, search=replace(spec.search, budget=Budget(gpu_seconds=1e-9))))


def enter(context: TrialContext, count: int) -> str:
    keys = [{"trial": 0, "seed": seed, "fold": 1, "folds": 1, "fraction": 1.0} for seed in range(1, count + 1)]
    plain = context.runtime.space.baseline().to_json()
    repeats.add(
        context.engine, "colours", repeats.CONFIRM, [repeats.RetrainingRequest(key, plain, "plain", 5) for key in keys]
    )
    return repeats.name_of("colours", repeats.CONFIRM)


def states(context: TrialContext) -> list[TrialState]:
    return [run.state for run in reading.load_study(context.engine, "colours").repeats]


def test_a_worker_helps_although_the_searchs_budget_is_spent(context: TrialContext) -> None:
    enter(context, 2)
    assert retraining.help_out(context, StopSignal())
    assert states(context) == [TrialState.COMPLETE] * 2
    assert not retraining.help_out(context, StopSignal())


def test_one_that_fails_is_recorded_and_can_be_put_back(context: TrialContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: TrialContext, claim: Claim) -> TrialState:
        raise TrialError("the loss is not finite", "nan")

    own = enter(context, 1)
    with monkeypatch.context() as patch:
        patch.setitem(retraining.RUNS, repeats.CONFIRM, failing)  # type: ignore[arg-type]
        retraining.work_for(context, StopSignal(), own, repeats.CONFIRM)
    (run,) = reading.load_study(context.engine, "colours").repeats
    assert (run.state, run.failure) == (TrialState.FAILED, "the loss is not finite")
    assert writing.retry_failed(context.engine, own) == (0,)
    retraining.work_for(context, StopSignal(), own, repeats.CONFIRM)
    assert states(context) == [TrialState.COMPLETE]


def test_trials_that_optuna_holds_open_are_left_alone(context: TrialContext) -> None:
    opened = context.sampling.open(context.sampling.ask(0))
    enter(context, 1)
    retraining.help_out(context, StopSignal())
    assert context.sampling.unfinished() == (opened,)


def test_a_worker_asked_to_stop_hands_its_trial_back(context: TrialContext) -> None:
    own = enter(context, 2)
    stop_signal = StopSignal()
    stop_signal.reason = "told to"
    assert retraining.help_out(context, stop_signal)
    assert states(context) == [TrialState.WAITING] * 2
    pausing = StopSignal()

    class Stopping(Silent):
        def epoch_done(self, number: int, epoch: object) -> None:
            pausing.pause_reason = "enough"

    watched = replace(context, observer=Stopping(), pause=pausing.pausing)
    retraining.work_for(watched, pausing, own, repeats.CONFIRM)
    assert states(context) == [TrialState.WAITING] * 2
    assert reading.load_study(context.engine, own).trials[0].epochs
    retraining.work_for(context, StopSignal(), own, repeats.CONFIRM)
    assert states(context) == [TrialState.COMPLETE] * 2
