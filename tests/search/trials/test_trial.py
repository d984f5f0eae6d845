from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from search.errors import LeaseLostError
from search.records.study import EpochRecord, StudyRecord, TrialState
from search.store import leases, reading
from search.trials import trial
from search.trials.context import TrialContext
from search.trials.observer import Silent


def test_the_first_trial_is_the_plain_recipe_and_optuna_knows_its_parameters(context: TrialContext) -> None:
    claim = leases.claim(context.engine, "colours", "w", 60)
    assert claim is not None
    assert trial.run(context, claim) is TrialState.COMPLETE
    (found,) = reading.load_study(context.engine, "colours").trials
    assert found.is_baseline
    assert found.params["freeze"] == 0
    assert found.params["optimizer.name"] == "sgd"


def test_a_trial_that_another_worker_took_over_writes_nothing_more(context: TrialContext) -> None:
    claim = leases.claim(context.engine, "colours", "sleeper", -1)
    assert claim is not None
    heir = leases.claim(context.engine, "colours", "heir", 60)
    assert heir is not None
    with pytest.raises(LeaseLostError):
        trial.run(context, claim)
    (found,) = reading.load_study(context.engine, "colours").trials
    assert (found.candidate, found.epochs, found.worker) == (None, (), "heir")


def test_a_taken_over_trial_keeps_its_number_and_candidate(context: TrialContext) -> None:
    seen: list[int] = []

    class Watching(Silent):
        def epoch_done(self, number: int, epoch: EpochRecord) -> None:
            seen.append(epoch.epoch)

    first = leases.claim(context.engine, "colours", "w", 60)
    assert first is not None
    trial.run(replace(context, observer=Watching(), leave=lambda: len(seen) == 1), first)
    before = reading.load_study(context.engine, "colours").trials[0]
    leases.release(context.engine, first)
    second = leases.claim(context.engine, "colours", "v", 60)
    assert second is not None
    assert trial.run(replace(context, observer=Watching()), second) is TrialState.COMPLETE
    after = reading.load_study(context.engine, "colours").trials[0]
    assert after.candidate == before.candidate
    assert seen == [1, 2]


def test_a_resumed_trial_keeps_what_it_cost_before_training(
    weighing: TrialContext, run_all: Callable[[TrialContext, int], StudyRecord]
) -> None:
    run_all(weighing, 1)
    claim = leases.claim(weighing.engine, "colours", "w", 60)
    assert claim is not None
    assert trial.run(replace(weighing, leave=lambda: True), claim) is TrialState.WAITING
    leases.release(weighing.engine, claim)
    study = run_all(weighing, 1)
    assert study.trials[1].objectives["parameters"] == study.trials[1].extras["known"]["parameters"]
