"""A study from its file to its report, as a user of the library sees it."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from search.api import join_study, load_study, run_study
from search.errors import ConflictError, DataError, NotFoundError, RunError, SpecError, StoreUrlError, UserError
from search.records.study import EpochRecord, StudyRecord, TrialState
from search.store import DEFAULT_URL, connection, reading
from search.training import checkpoint as files
from search.trials import keep_best
from search.trials.observer import Silent
from search.workers import worker
from spaces.errors import SpaceError


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def outcome(study: StudyRecord) -> list[tuple[object, ...]]:
    return [
        (trial.number, trial.candidate, trial.value, [dict(epoch.metrics) for epoch in trial.epochs])
        for trial in study.trials
    ]


def test_a_study_runs_to_its_end_and_leaves_everything_behind(study_file: Path) -> None:
    result = run_study(study_file, trials=3)
    study = load_study("colours")
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 3
    first = study.trials[0]
    assert first.is_baseline
    assert "plain recipe" in first.words
    for trial in study.trials:
        planned = 1 if "probe" in trial.words or len(trial.epochs) == 1 else 2  # a linear probe is solved at once
        assert [epoch.epoch for epoch in trial.epochs] == list(range(1, planned + 1))
        assert trial.size is not None
        assert trial.size.flops > 0
        assert trial.evaluation is not None
        assert trial.seed is not None
        assert trial.versions["torch"]
        assert trial.dataset_fingerprint == study.dataset.fingerprint
        assert trial.ended == ("ran all 2 epochs" if planned > 1 else "ran its only epoch")
    assert result.best is not None
    assert result.gain is not None
    assert result.report is not None
    assert "colours" in result.report.read_text()
    for trial in study.trials:
        assert trial.checkpoint is not None
        kept = files.read(Path("runs/colours") / trial.checkpoint)
        assert kept.facts["candidate"] == trial.candidate
        assert any(name.startswith("features.") for name in kept.tensors)
    assert not list(Path("runs/colours").glob("resume-*"))


def test_the_same_seed_gives_the_same_study_twice_however_it_is_interrupted(study_file: Path) -> None:
    whole = run_study(study_file, trials=4, storage="sqlite:///a.db", folder="a", report=False).study
    run_study(study_file, trials=2, storage="sqlite:///b.db", folder="b", report=False)
    parts = run_study(study_file, trials=4, storage="sqlite:///b.db", folder="b", report=False).study
    assert outcome(whole) == outcome(parts)


def test_a_finished_study_goes_on_with_a_higher_number_only(study_file: Path) -> None:
    run_study(study_file, trials=2, report=False)
    assert len(run_study(study_file, trials=1, report=False).study.trials) == 2
    assert len(run_study(study_file, trials=3, report=False).study.trials) == 3


def test_the_number_on_the_command_line_ends_a_longer_study_sooner(study_file: Path) -> None:
    assert run_study(study_file, trials=30, observer=Stopping(), report=False).study.target == 30
    assert len(run_study(study_file, trials=2, report=False).study.trials) == 2


def test_a_budget_ends_the_study_and_a_larger_one_continues_it(study_file: Path) -> None:
    whole = study_file.read_text()
    study_file.write_text(whole.replace("trials: 2,", "trials: 4, budget: {gpu_seconds: 0.001},"))
    result = run_study(study_file, report=False)
    assert len(result.study.trials) == 1
    assert result.stopped.startswith("the budget of 0.001 s is spent (1 trials took")
    study_file.write_text(whole.replace("trials: 2,", "trials: 4, budget: {gpu_seconds: 1h},"))
    result = run_study(study_file, report=False)
    assert len(result.study.trials) == 4
    assert result.stopped == ""


def test_only_the_best_checkpoints_are_kept(study_file: Path) -> None:
    study_file.write_text(study_file.read_text() + "keep_checkpoints: 1\n")
    result = run_study(study_file, trials=3, report=False)
    kept = [trial.number for trial in result.study.trials if trial.checkpoint]
    assert result.best is not None
    assert kept == [result.best.number]
    assert len(list(Path("runs/colours").glob("trial-*"))) == 1


def test_the_same_name_with_another_space_is_refused_and_nothing_is_lost(study_file: Path) -> None:
    before = run_study(study_file, trials=1, report=False).study
    study_file.write_text(study_file.read_text().replace("tail: {high: 3}", "tail: {high: 2}"))
    with pytest.raises(ConflictError, match=r"space.tail.high: stored 3, now 2"):
        run_study(study_file, trials=2)
    assert outcome(load_study("colours")) == outcome(before)


def test_the_same_name_with_other_data_is_refused(study_file: Path, folder: Path) -> None:
    run_study(study_file, trials=1, report=False)
    (folder / "red" / "00.png").unlink()
    with pytest.raises(ConflictError, match=r"data.fingerprint"):
        run_study(study_file, trials=2)


class Stopping(Silent):
    """Sends this process a signal after the first epoch of the second trial."""

    def epoch_done(self, number: int, epoch: EpochRecord) -> None:
        if number == 1:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_hands_the_trial_back_and_the_next_run_goes_on_with_it(study_file: Path) -> None:
    undisturbed = run_study(study_file, trials=3, storage="sqlite:///a.db", folder="a", report=False).study
    result = run_study(study_file, trials=3, observer=Stopping(), report=False)
    assert "SIGINT" in result.stopped
    assert [trial.state for trial in result.study.trials] == [TrialState.COMPLETE, TrialState.WAITING]
    study = run_study(study_file, trials=3, report=False).study
    assert outcome(study) == outcome(undisturbed)
    assert study.trials[1].attempts == 2


def test_a_time_limit_starts_no_further_trial(study_file: Path) -> None:
    result = run_study(study_file, trials=50, timeout_s=0.01, report=False)
    assert len(result.study.trials) < 50
    assert result.stopped == "the time is up"


def test_a_study_without_a_number_has_in_the_end_as_many_trials_as_its_budget_allowed(study_file: Path) -> None:
    whole = study_file.read_text()
    study_file.write_text(whole.replace("trials: 2,", "budget: {gpu_seconds: 0.001},"))
    first = run_study(study_file, report=False)
    assert (len(first.study.trials), first.study.target, first.stopped) == (1, 1, "")
    study_file.write_text(whole.replace("trials: 2,", "trials: auto, budget: {gpu_seconds: 1h},"))
    assert run_study(study_file, trials=3, report=False).study.target == 3


@pytest.mark.usefixtures("forked_workers")
def test_two_processes_share_a_study_exactly(study_file: Path) -> None:
    study = run_study(study_file, trials=5, workers=2, report=False).study
    assert [trial.number for trial in study.trials] == list(range(5))
    assert all(trial.state is TrialState.COMPLETE for trial in study.trials)
    engine = connection.connect(DEFAULT_URL)
    with engine.connect() as link:
        assert link.exec_driver_sql('SELECT count(*) FROM ft_worker WHERE "left" IS NOT NULL').scalar() == 2
    engine.dispose()


def test_a_worker_joins_with_nothing_but_the_store(study_file: Path, folder: Path, tmp_path: Path) -> None:
    run_study(study_file, trials=1, report=False)
    engine = connection.connect(DEFAULT_URL)
    with engine.begin() as link:
        link.exec_driver_sql("UPDATE ft_study SET target = 2")
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="does not exist"):
        join_study("colours")
    join_study("colours", data=tmp_path / "elsewhere")
    assert reading.progress(engine, "colours").finished == 2
    (tmp_path / "elsewhere" / "red" / "00.png").unlink()
    with pytest.raises(ConflictError, match="fingerprint"):
        join_study("colours", data=tmp_path / "elsewhere")
    engine.dispose()


def test_a_killed_run_is_continued_by_the_next(study_file: Path, start_program: Callable[..., BaseProcess]) -> None:
    child = start_program(f"from search import api\napi.run_study({str(study_file)!r}, trials=200, report=False)")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not _finished():
        time.sleep(0.2)
    child.kill()
    child.join()
    count = _finished()
    study = run_study(study_file, trials=200, timeout_s=0.001, report=False).study
    assert count >= 1
    assert sum(trial.state is TrialState.COMPLETE for trial in study.trials) >= count


def _finished() -> int:
    try:
        engine = connection.connect(DEFAULT_URL)
        found = reading.progress(engine, "colours").finished
    except (UserError, RunError):  # no store yet, or its tables are being created
        return 0
    engine.dispose()
    return found


def test_a_full_disk_fails_the_trial_and_leaves_the_database_whole(
    study_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    study_file.write_text(study_file.read_text() + "faults: {database_timeout: 0.3}\n")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(UserError, match=r"cannot keep checkpoints in .*the disk is full"):
            run_study(study_file, trials=1, report=False)
    run_study(study_file, trials=1, report=False)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        for module, pause in ((worker, "POLL_S"), (worker, "_DISK_S"), (keep_best, "_PAUSE_S")):
            patch.setattr(module, pause, 0.02)
        study = run_study(study_file, trials=3, report=False).study
    assert [trial.state for trial in study.trials[1:]] == [TrialState.FAILED] * 2
    failed = study.trials[1]
    assert failed.failure is not None
    assert failed.failure.kind == "disk"
    assert failed.attempts >= 3
    assert "disk is full" in failed.failure.message
    assert run_study(study_file, trials=4, report=False).study.best is not None


@pytest.mark.parametrize(
    ("old", "new", "kind", "reason"),
    [
        ("weights: none", "weights: IMAGENET1K_V9", SpaceError, "weights must be one of"),
        ("weights: none", "weights: ./absent.pth", SpaceError, "no such file"),
        ("freeze: {}", "freeze: {high: 99}", SpaceError, r"space.freeze: 0\.\.99 asked for"),
        ("input_size: 32", "input_size: 9", SpaceError, "input size 9x9 does not fit"),
        ("backbone: squeezenet1_1", "backbone: squeezenet9", SpecError, "did you mean squeezenet"),
        ("path: ", "path: /nowhere", DataError, "does not exist"),
    ],
)
def test_wrong_input_trains_nothing_and_stores_nothing(
    study_file: Path, old: str, new: str, kind: type[Exception], reason: str
) -> None:
    study_file.write_text(study_file.read_text().replace(old, new))
    with pytest.raises(kind, match=reason):
        run_study(study_file)
    with pytest.raises(NotFoundError):
        load_study("colours")


def test_a_store_that_cannot_be_reached_is_refused_without_the_password(study_file: Path) -> None:
    with pytest.raises(StoreUrlError) as caught:
        run_study(study_file, storage="postgresql://me:secret@127.0.0.1:1/x")
    assert "secret" not in str(caught.value)
