from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from search import api
from search.artifacts import Folder
from search.errors import TrialError
from search.records.study import TrialState
from search.runtime.study_runtime import open_laboratory
from search.spec.load import Budget, load_spec
from search.store import connection, migrate, reading, repeats, writing
from search.store.leases import Claim
from search.trials.trial import Bench
from search.workers import retraining, worker
from search.workers.shutdown import Leaving


@pytest.fixture
def bench(study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench of a study whose search has ended and whose budget is spent."""
    monkeypatch.setattr(worker, "POLL_S", 0.01)
    url = f"sqlite:///{tmp_path}/store.db"
    engine = connection.connect(url)
    migrate.upgrade(engine)
    spec = load_spec(study_file)
    spec = replace(spec, search=replace(spec.search, budget=Budget(gpu_seconds=1e-9)))
    laboratory = open_laboratory(spec, "cpu")
    writing.create_study(engine, laboratory.record())
    with worker.open_bench(
        laboratory, engine, url, tmp_path, api.Silent(), Leaving(), shelf=Folder(tmp_path / "kept"), key="0123456789"
    ) as found:
        yield found
    engine.dispose()


def enter(bench: Bench, count: int) -> str:
    keys = [{"trial": 0, "seed": seed, "fold": 1, "folds": 1, "fraction": 1.0} for seed in range(1, count + 1)]
    plain = bench.laboratory.space.baseline().to_json()
    repeats.add(bench.engine, "colours", repeats.CONFIRM, [repeats.Wanted(key, plain, "plain", 5) for key in keys])
    return repeats.name_of("colours", repeats.CONFIRM)


def states(bench: Bench) -> list[TrialState]:
    return [run.state for run in reading.load_study(bench.engine, "colours").repeats]


def test_a_worker_helps_out_though_the_searchs_budget_is_spent(bench: Bench) -> None:
    enter(bench, 2)
    assert retraining.help_out(bench, Leaving())
    assert states(bench) == [TrialState.COMPLETE] * 2
    assert not retraining.help_out(bench, Leaving())


def test_one_that_fails_is_recorded_and_can_be_put_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: Bench, claim: Claim) -> TrialState:
        raise TrialError("the loss is not finite", "nan")

    own = enter(bench, 1)
    with monkeypatch.context() as patch:
        patch.setitem(retraining.RUNS, repeats.CONFIRM, failing)  # type: ignore[arg-type]
        retraining.work_for(bench, Leaving(), own, repeats.CONFIRM)
    (run,) = reading.load_study(bench.engine, "colours").repeats
    assert (run.state, run.failure) == (TrialState.FAILED, "the loss is not finite")
    assert writing.retry_failed(bench.engine, own) == (0,)
    retraining.work_for(bench, Leaving(), own, repeats.CONFIRM)
    assert states(bench) == [TrialState.COMPLETE]


def test_trials_that_optuna_holds_open_are_left_alone(bench: Bench) -> None:
    opened = bench.sampling.open(bench.sampling.ask(0))
    enter(bench, 1)
    retraining.help_out(bench, Leaving())
    assert bench.sampling.unfinished() == (opened,)


def test_a_worker_that_is_told_to_leave_hands_back(bench: Bench) -> None:
    own = enter(bench, 2)
    leaving = Leaving()
    leaving.reason = "told to"
    assert retraining.help_out(bench, leaving)
    assert states(bench) == [TrialState.WAITING] * 2
    pausing = Leaving()

    class Stopping(api.Silent):
        def epoch_done(self, number: int, epoch: object) -> None:
            pausing.pause_reason = "enough"

    watched = replace(bench, observer=Stopping(), pause=pausing.pausing)
    retraining.work_for(watched, pausing, own, repeats.CONFIRM)
    assert states(bench) == [TrialState.WAITING] * 2
    assert reading.load_study(bench.engine, own).trials[0].epochs
    retraining.work_for(bench, Leaving(), own, repeats.CONFIRM)
    assert states(bench) == [TrialState.COMPLETE] * 2
