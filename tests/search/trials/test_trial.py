from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from search import api
from search.artifacts import Folder
from search.errors import LeaseLostError
from search.records.study import EpochRecord, StudyRecord, TrialState, Verdict
from search.runtime.study_runtime import open_laboratory
from search.sampling import pruners
from search.spec.load import load_spec
from search.store import connection, leases, migrate, reading, writing
from search.trials import trial
from search.workers.shutdown import Leaving
from search.workers.worker import open_bench


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


@pytest.fixture
def weighing(study_file: Path, tmp_path: Path) -> Iterator[trial.Bench]:
    """A bench of a study that weighs accuracy against parameters, under a constraint that the plain recipe breaks."""
    study_file.write_text(
        study_file.read_text().replace("trials: 2", "trials: 6")
        + "objectives: [accuracy, parameters, train_seconds]\nconstraints: {parameters: < 700k}\nkeep_checkpoints: 1\n"
    )
    url = f"sqlite:///{tmp_path}/several.db"
    engine = connection.connect(url)
    migrate.upgrade(engine)
    laboratory = open_laboratory(load_spec(study_file), "cpu")
    writing.create_study(engine, laboratory.record())
    place = Folder(tmp_path / "out")
    opened = open_bench(laboratory, engine, url, tmp_path, api.Silent(), Leaving(), shelf=place, key="0123456789abcdef")
    with opened as found:
        yield found
    engine.dispose()


def run_all(bench: trial.Bench, count: int) -> StudyRecord:
    for _ in range(count):
        claim = leases.claim(bench.engine, "colours", "w", 60)
        assert claim is not None
        trial.run(bench, claim)
    return reading.load_study(bench.engine, "colours")


def test_a_study_of_several_objectives_records_all_and_keeps_the_weights_of_its_front(weighing: trial.Bench) -> None:
    study = run_all(weighing, 6)
    assert [one.name for one in study.objectives] == ["accuracy", "parameters", "train_seconds"]
    for one in study.trials:
        assert one.size is not None
        assert one.objectives["parameters"] == one.size.parameters == one.extras["known"]["parameters"]
        assert one.objectives["train_seconds"] == pytest.approx(sum(epoch.seconds for epoch in one.epochs))
        assert one.objectives["accuracy"] == one.value
    assert study.trials[0].broken == ("parameters < 700k",)
    assert study.trials[0].checkpoint is None
    assert not any(one.broken for one in study.trials[1:])
    kept = {one.number for one in study.trials if one.checkpoint}
    best = study.best
    assert best is not None
    assert kept == {one.number for one in study.front} | {best.number}


def test_pareto_safe_pruning_spares_what_is_on_the_front_so_far(weighing: trial.Bench) -> None:
    class Always(pruners.Pruner):
        def verdict(self, number: int, curves: pruners.Curves) -> tuple[Verdict, str]:
            return Verdict.PRUNE, "always"

    run_all(weighing, 2)
    spec = weighing.laboratory.spec
    search = replace(spec.search, pruner=Always(), pruning="pareto_safe")  # type: ignore[arg-type]
    safe = replace(weighing, laboratory=replace(weighing.laboratory, spec=replace(spec, search=search)))
    study = run_all(safe, 4)
    for one in study.trials[2:]:
        first, rivals = one.epochs[0].metrics["accuracy"], [study.trials[1]]
        rivals += [other for other in study.trials[2 : one.number] if other.state is TrialState.COMPLETE]
        costs = {"parameters": one.extras["known"]["parameters"]}
        beaten = any(
            other.value is not None
            and (other.value, -other.objectives["parameters"]) != (first, -costs["parameters"])
            and other.value >= first
            and other.objectives["parameters"] <= costs["parameters"]
            for other in rivals
        )
        assert (one.state is TrialState.PRUNED) is beaten


def test_a_resumed_trial_keeps_what_it_cost_before_training(weighing: trial.Bench) -> None:
    run_all(weighing, 1)
    claim = leases.claim(weighing.engine, "colours", "w", 60)
    assert claim is not None
    assert trial.run(replace(weighing, leave=lambda: True), claim) is TrialState.WAITING
    leases.release(weighing.engine, claim)
    study = run_all(weighing, 1)
    assert study.trials[1].objectives["parameters"] == study.trials[1].extras["known"]["parameters"]
