"""Trials that are trained at once are trials like any other: claimed, recorded, pruned and finished one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from search.errors import FinetuneError
from search.records.study import EpochRecord, StudyRecord, TrialRecord, TrialState
from search.runtime.study_record import study_record
from search.runtime.study_runtime import open_runtime
from search.spec.load import load_spec
from search.spec.study_spec import StudySpec
from search.store import connection, leases, migrate, reading, writing
from search.store.leases import Claim
from search.training.fit import TrainingResult
from search.trials import parallel_heads
from search.trials.parallel_heads import ParallelHeads
from search.trials.proposal import FREE_BESIDE
from search.workers.options import RunOptions
from search.workers.worker import StopSignal, open_context, work


@pytest.fixture
def spec(study_file: Path) -> StudySpec:
    """A study in which every candidate but the plain recipe freezes all units and learns its head by steps."""
    found = load_spec(study_file)
    units = len(open_runtime(found, "cpu").space.chain)
    text = (
        study_file.read_text()
        .replace("freeze: {}", f"freeze: {{low: {units}}}")
        .replace("  tail: {high: 3}", "  head_start: {starts: [random]}")
    )
    study_file.write_text(text)
    return load_spec(study_file)


def run(spec: StudySpec, folder: Path, *, stop_signal: StopSignal | None = None, **search: Any) -> StudyRecord:
    """Run a study in this process and return it."""
    own = replace(spec, search=replace(spec.search, **search))
    folder.mkdir(exist_ok=True)
    url = f"sqlite:///{folder}/store.db"
    engine = connection.connect(url)
    migrate.upgrade(engine)
    runtime = open_runtime(own, "cpu")
    writing.create_study(engine, study_record(runtime))
    told = stop_signal or StopSignal()
    with open_context(runtime, engine, RunOptions(storage=url), folder / "out", told) as context:
        work(context, told, worker="w")
    study = reading.load_study(engine, own.name)
    engine.dispose()
    return study


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many heads were trained at once, one number per group."""
    found: list[int] = []
    inner = parallel_heads.fit_heads

    def counting(members: Any, train: Any, val: Any) -> list[TrainingResult | FinetuneError]:
        found.append(len(members))
        return inner(members, train, val)

    monkeypatch.setattr(parallel_heads, "fit_heads", counting)
    return found


def shared(trial: TrialRecord) -> Mapping[str, object]:
    choices = {**trial.candidate["structure"]["choices"], **trial.candidate["recipe"]["choices"]}
    return {name: value for name, value in choices.items() if name not in FREE_BESIDE}


def test_frozen_trials_are_trained_at_once_and_each_is_a_trial_of_its_own(
    spec: StudySpec, tmp_path: Path, groups: list[int]
) -> None:
    study = run(spec, tmp_path / "a", trials=7, parallel_heads=4)
    assert groups == [4, 2]
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 7
    assert len({str(trial.candidate) for trial in study.trials}) == 7
    for trial in study.trials[1:]:
        assert shared(trial) == shared(study.trials[1])
        assert [epoch.epoch for epoch in trial.epochs] == [1, 2]
        assert trial.value == max(epoch.metrics["accuracy"] for epoch in trial.epochs)
        assert trial.evaluation is not None
        assert trial.seconds > 0
        assert trial.attempts == 1
        assert trial.size is not None
    assert study.trials[2].extras["trained_at_once"] == [1, 2, 3, 4]
    stored = optuna.load_study(study_name=spec.name, storage=f"sqlite:///{tmp_path}/a/store.db")
    assert [trial.value for trial in stored.trials] == [trial.value for trial in study.trials]


def test_the_first_of_a_group_comes_out_as_alone(spec: StudySpec, tmp_path: Path) -> None:
    spec = replace(spec, training=replace(spec.training, precision="float32"))
    alone = run(spec, tmp_path / "a", trials=2).trials[1]
    beside = run(spec, tmp_path / "b", trials=4, parallel_heads=3).trials[1]
    assert beside.candidate == alone.candidate
    for mine, other in zip(beside.epochs, alone.epochs, strict=True):
        assert dict(mine.metrics) == pytest.approx(dict(other.metrics), rel=1e-4)
        assert mine.train_loss == pytest.approx(other.train_loss, rel=1e-4)


def test_the_checkpoint_of_one_trained_beside_others_is_whole(spec: StudySpec, tmp_path: Path) -> None:
    study = run(replace(spec, keep_checkpoints=9), tmp_path / "a", trials=4, parallel_heads=3)
    runtime = open_runtime(spec, "cpu")
    for trial in study.trials[1:]:
        assert trial.checkpoint is not None
        assert (tmp_path / "a" / "out" / trial.checkpoint).exists()
    assert runtime.space.chain.units


def test_weak_heads_are_pruned_and_the_others_go_on(spec: StudySpec, tmp_path: Path, groups: list[int]) -> None:
    pruner = replace(spec.search, pruner=load_median()).pruner
    longer = replace(spec, training=replace(spec.training, epochs=4))
    study = run(longer, tmp_path / "a", trials=9, parallel_heads=8, pruner=pruner)
    assert groups == [8]
    pruned = [trial for trial in study.trials if trial.state is TrialState.PRUNED]
    assert pruned
    assert all(len(trial.epochs) < 4 and "median" in trial.ended for trial in pruned)
    assert all(len(trial.epochs) == 4 for trial in study.trials if trial.state is TrialState.COMPLETE)


def load_median() -> Any:
    from search.sampling.pruners import Median

    return Median(warmup=1, startup=1)


def test_without_the_option_every_trial_is_alone(spec: StudySpec, tmp_path: Path, groups: list[int]) -> None:
    run(spec, tmp_path / "a", trials=3)
    assert groups == []


def test_asked_to_stop_all_are_handed_back_and_resumed(
    spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_signal = StopSignal()
    inner = writing.record_epochs

    def recording(engine: Any, claim: Claim, epochs: tuple[EpochRecord, ...]) -> None:
        inner(engine, claim, epochs)
        if claim.number == 2:
            stop_signal.reason = "told to"

    with monkeypatch.context() as patch:
        patch.setattr(writing, "record_epochs", recording)
        study = run(spec, tmp_path / "a", stop_signal=stop_signal, trials=4, parallel_heads=3)
    assert [trial.state for trial in study.trials[1:]] == [TrialState.WAITING] * 3
    again = run(spec, tmp_path / "a", trials=4, parallel_heads=3)
    assert [trial.state for trial in again.trials] == [TrialState.COMPLETE] * 4
    assert [trial.candidate for trial in again.trials] == [trial.candidate for trial in study.trials]
    assert [trial.attempts for trial in again.trials] == [1, 2, 2, 2]


def test_too_little_memory_for_all_trains_them_one_after_another(
    spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(parallel_heads, "fit_heads", full)
    study = run(spec, tmp_path / "a", trials=4, parallel_heads=3)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 4


def test_a_head_that_fails_leaves_the_others(spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = writing.finish_trial

    def failing(engine: Any, claim: Claim, ended: writing.Ended) -> None:
        if claim.number == 2:
            raise RuntimeError("broken")
        inner(engine, claim, ended)

    monkeypatch.setattr(writing, "finish_trial", failing)
    study = run(spec, tmp_path / "a", trials=4, parallel_heads=3)
    assert [trial.state.value for trial in study.trials] == ["complete", "complete", "failed", "complete"]
    assert study.trials[2].failure is not None
    assert study.trials[2].failure.message == "broken"


def test_a_trial_of_another_kind_is_handed_back(spec: StudySpec, tmp_path: Path) -> None:
    """What waits in the queue has its own candidate: it does not run beside others but next, by itself."""
    engine = connection.connect(f"sqlite:///{tmp_path}/store.db")
    migrate.upgrade(engine)
    own = replace(spec, search=replace(spec.search, trials=9, parallel_heads=4))
    runtime = open_runtime(own, "cpu")
    writing.create_study(engine, study_record(runtime))
    released: list[int] = []

    def hold(_: Claim) -> AbstractContextManager[object]:
        return nullcontext()

    def release(claim: Claim) -> None:
        released.append(claim.number)
        leases.release(engine, claim)

    claiming: Callable[[], Claim | None] = lambda: leases.claim(engine, own.name, "w", 60)  # noqa: E731
    with open_context(
        runtime, engine, RunOptions(storage=f"sqlite:///{tmp_path}/store.db"), tmp_path, StopSignal()
    ) as context:
        group = ParallelHeads(claiming, hold, lambda *_: None, release)
        for _ in range(2):
            claim = claiming()
            assert claim is not None
            if claim.number == 1:
                waiting = claiming()
                assert waiting is not None
                writing.record_candidate(
                    engine, waiting, writing.Started(
                    optuna_number=77, params={}, distributions={}, words="", is_baseline=False,
                    candidate=runtime.space.baseline().to_json(), seed=0, versions={}, dataset_fingerprint="",
                ))  # fmt: skip
                leases.release(engine, waiting)
            assert group.run(context, claim) is TrialState.COMPLETE
    assert released == [2]
    engine.dispose()
