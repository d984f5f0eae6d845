from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from search.api import run_study
from search.cli import main
from search.errors import RunError, UserError
from search.records.study import TrialState
from search.store import connection
from search.store.reading import Progress, TrialStatus
from search.trials.observer import Silent
from search.workers import launchers
from search.workers.launchers import LaunchPlan, local
from search.workers.launchers._base import last_error
from search.workers.launchers.local import Local
from search.workers.shutdown import StopSignal


@pytest.mark.usefixtures("forked_workers")
def test_what_all_workers_refuse_is_reported_in_their_words(
    study_file: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path}/store.db"
    run_study(study_file, trials=1, storage=url, report=False)
    folder.rename(tmp_path / "moved")
    engine = connection.connect(url)
    launch_plan = LaunchPlan("colours", url, tmp_path / "runs" / "colours", "cpu")
    with pytest.raises(UserError, match=r"^[^\n]*does not exist[^\n]*$"):
        launchers.run_workers(launch_plan, 1, engine, Silent(), StopSignal())
    assert "does not exist" in (launch_plan.folder / "worker-0.log").read_text()
    engine.dispose()


@pytest.mark.usefixtures("forked_workers")
def test_constraints_that_nothing_keeps_end_two_workers_as_they_end_one(
    study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    study_file.write_text(study_file.read_text() + "constraints: {parameters: < 10}\n")
    said = []
    for count in ("1", "2"):
        code = main(
            ["run", str(study_file), "--workers", count, "--device", "cpu", "--storage", f"sqlite:///{count}.db"]
        )
        assert code == 2
        said.append(capsys.readouterr().err.strip().splitlines()[-1])
    for line in said:  # how many were drawn, and how near they came, depends on which worker drew for which trial
        assert re.fullmatch(
            r"Error: none of \d+ candidates drawn satisfies the constraints; "
            r"the nearest one breaks parameters < 10 by .*",
            line,
        )


def test_the_last_error_is_found_after_other_words() -> None:
    assert last_error("reading\nError: old\nmore\nError: s.yaml:1: no\ns.yaml:2: neither\n") == (
        "s.yaml:1: no\ns.yaml:2: neither"
    )
    assert last_error("Error: alone\n") == "alone"
    assert not last_error("Killed\n")


def test_workers_that_all_die_are_reported_with_their_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "fails"
    program.write_text("#!/bin/sh\necho the disk burns >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(local, "_RESTARTS", 0)
    monkeypatch.setattr(launchers.reading, "trial_states", lambda *_: ())
    monkeypatch.setattr(launchers.reading, "progress", lambda *_: Progress(1, {}, None, False))
    engine = connection.connect(f"sqlite:///{tmp_path}/store.db")
    with pytest.raises(RunError, match=r"all 2 workers failed; see .*worker-\*\.log \(the disk burns\)"):
        launchers.run_workers(LaunchPlan("s", "sqlite:///x.db", tmp_path, "cpu"), 2, engine, Silent(), StopSignal())
    engine.dispose()


def test_trials_of_earlier_runs_are_not_reported_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(Silent):
        told: ClassVar[list[int]] = []

        def trial_ended(self, number: int, state: TrialState, value: float | None, ended: str) -> None:
            self.told.append(number)

    program = tmp_path / "ends"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    before = [TrialStatus(0, TrialState.COMPLETE, 0.5, "", ""), TrialStatus(1, TrialState.RUNNING, None, "", "")]
    after = [before[0], TrialStatus(1, TrialState.FAILED, None, "", "odd")]
    seen = iter([before])
    monkeypatch.setattr(launchers.reading, "trial_states", lambda *_: next(seen, after))
    monkeypatch.setattr(launchers.reading, "progress", lambda *_: Progress(2, {}, None, False))
    engine = connection.connect(f"sqlite:///{tmp_path}/store.db")
    launchers.run_workers(LaunchPlan("s", "sqlite:///x.db", tmp_path, "cpu"), 1, engine, Ended(), StopSignal())
    engine.dispose()
    assert Ended.told == [1]


def test_the_storage_url_is_in_no_command_line(tmp_path: Path) -> None:
    place = Local(LaunchPlan("s", "postgresql://me:secret@127.0.0.1:1/x", tmp_path, "cpu"))
    place.start(1)
    (child,) = place.processes
    assert "secret" not in " ".join(map(str, child.args))  # type: ignore[arg-type]
    place.stop()
    assert place.alive() == 0
    assert "secret" not in (tmp_path / "worker-0.log").read_text()


def test_a_worker_that_dies_is_started_again_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    program = tmp_path / "dies"
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    place = Local(LaunchPlan("s", "sqlite:///x.db", tmp_path, "cpu"))
    place.start(1)
    starts = set()
    while place.alive():
        starts.add(place.processes[0].pid)
    assert len(starts) <= 4
    assert caplog.text.count("restarting it") == 3
    assert place.complaint().startswith("all 1 workers failed")


def test_workers_go_to_the_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert local.devices_for("auto", 3) == ["cuda:0", "cuda:1", "cuda:0"]
    assert local.devices_for("cpu", 2) == ["cpu", "cpu"]
    assert local.devices_for("cuda:1", 2) == ["cuda:1", "cuda:1"]
    assert launchers.default_count(launchers.Placement(per_gpu=2), "auto") == 4
    assert launchers.default_count(launchers.Placement(per_gpu=2), "cpu") == 1
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert local.devices_for("auto", 2) == ["auto", "auto"]


def test_a_missing_engine_is_refused_with_those_that_are() -> None:
    with pytest.raises(UserError, match=r"expected one of local, ray, slurm, got 'rey'; did you mean ray\?"):
        launchers.launcher_of("rey")
    with pytest.raises(UserError, match=r"expected one of local, ray, slurm, got 'kubernetes'$"):
        launchers.launcher_of("kubernetes")
