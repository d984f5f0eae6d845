from __future__ import annotations

import sys
from pathlib import Path

import pytest

from search.api import run_study
from search.errors import UserError
from search.store import connection, reading
from search.trials.observer import Silent
from search.workers import launchers
from search.workers.launchers import LaunchPlan, Placement
from search.workers.launchers.slurm import Slurm
from search.workers.shutdown import StopSignal


def launch_plan(url: str, folder: Path, **options: str) -> LaunchPlan:
    return LaunchPlan("colours", url, folder, "cpu", Placement("slurm", options=options))


def test_without_submitit_it_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"install ftsearch\[slurm\]"):
        Slurm(launch_plan("sqlite:///s.db", tmp_path)).start(1)


def test_without_slurm_and_with_unknown_settings_it_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    with pytest.raises(UserError, match="--launcher slurm: "):
        Slurm(launch_plan("sqlite:///s.db", tmp_path)).start(1)
    with pytest.raises(UserError, match=r"--launcher slurm: .*no_such_setting"):
        Slurm(launch_plan("sqlite:///s.db", tmp_path, cluster="local", no_such_setting="1")).start(1)


def test_a_job_array_runs_the_study(study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path}/store.db"
    run_study(study_file, trials=1, storage=url, report=False)
    engine = connection.connect(url)
    with engine.begin() as link:
        link.exec_driver_sql("UPDATE ft_study SET target = 3")
    place = Slurm(launch_plan(url, tmp_path / "runs" / "colours", cluster="local", timeout_min="5"))
    place.start(2)
    assert [job.result() for job in place.jobs] == [0, 0]
    assert reading.progress(engine, "colours").finished == 3
    assert launchers.launcher_of("slurm").is_detached
    assert not any("secret" in path.read_text(errors="replace") for path in tmp_path.rglob("*.sh"))
    engine.dispose()


def test_a_detached_engine_is_started_and_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    monkeypatch.setattr(Slurm, "start", lambda self, count: started.append(count))
    engine = connection.connect(f"sqlite:///{tmp_path}/store.db")
    launchers.run_workers(launch_plan("sqlite:///s.db", tmp_path), 3, engine, Silent(), StopSignal())
    assert started == [3]
    engine.dispose()
