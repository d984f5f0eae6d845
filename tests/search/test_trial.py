from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from search import api, trial
from search.artifacts import Folder
from search.errors import LeaseLostError
from search.laboratory import open_laboratory
from search.leaving import Leaving
from search.records import EpochRecord, TrialState
from search.spec import load_spec
from search.store import connection, leases, migrate, reading, writing
from search.worker import open_bench


@pytest.fixture
def bench(study_file: Path, tmp_path: Path) -> Iterator[trial.Bench]:
    url = f"sqlite:///{tmp_path}/store.db"
    engine = connection.connect(url)
    migrate.upgrade(engine)
    laboratory = open_laboratory(load_spec(study_file), "cpu")
    writing.create_study(engine, laboratory.record())
    place = Folder(tmp_path / "out")
    opened = open_bench(laboratory, engine, url, tmp_path, api.Silent(), Leaving(), shelf=place, key="0123456789abcdef")
    with opened as found:
        yield found
    engine.dispose()


def test_the_first_trial_is_the_plain_recipe_and_optuna_knows_its_parameters(bench: trial.Bench) -> None:
    claim = leases.claim(bench.engine, "colours", "w", 60)
    assert claim is not None
    assert trial.run(bench, claim) is TrialState.COMPLETE
    (found,) = reading.load_study(bench.engine, "colours").trials
    assert found.is_baseline
    assert found.params["freeze"] == 0
    assert found.params["optimizer.name"] == "sgd"


def test_a_trial_that_another_worker_took_over_writes_nothing_more(bench: trial.Bench) -> None:
    claim = leases.claim(bench.engine, "colours", "sleeper", -1)
    assert claim is not None
    heir = leases.claim(bench.engine, "colours", "heir", 60)
    assert heir is not None
    with pytest.raises(LeaseLostError):
        trial.run(bench, claim)
    (found,) = reading.load_study(bench.engine, "colours").trials
    assert (found.candidate, found.epochs, found.worker) == (None, (), "heir")


def test_a_trial_told_to_leave_is_not_finished(bench: trial.Bench) -> None:
    claim = leases.claim(bench.engine, "colours", "w", 60)
    assert claim is not None
    assert trial.run(replace(bench, leave=lambda: True), claim) is TrialState.WAITING
    (found,) = reading.load_study(bench.engine, "colours").trials
    assert found.state is TrialState.RUNNING


def test_a_taken_over_trial_keeps_its_number_and_candidate(bench: trial.Bench) -> None:
    seen: list[int] = []

    class Watching(api.Silent):
        def epoch_done(self, number: int, epoch: EpochRecord) -> None:
            seen.append(epoch.epoch)

    first = leases.claim(bench.engine, "colours", "w", 60)
    assert first is not None
    trial.run(replace(bench, observer=Watching(), leave=lambda: len(seen) == 1), first)
    before = reading.load_study(bench.engine, "colours").trials[0]
    leases.release(bench.engine, first)
    second = leases.claim(bench.engine, "colours", "v", 60)
    assert second is not None
    assert trial.run(replace(bench, observer=Watching()), second) is TrialState.COMPLETE
    after = reading.load_study(bench.engine, "colours").trials[0]
    assert after.candidate == before.candidate
    assert seen == [1, 2]
