from __future__ import annotations

import os
import stat
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from search.api import run_study
from search.errors import RunError, UserError
from search.store import connection, reading
from search.trials.observer import Silent
from search.workers import launchers
from search.workers.launchers import LaunchPlan, Placement, slurm
from search.workers.launchers.slurm import Slurm
from search.workers.shutdown import StopSignal


def launch_plan(url: str, folder: Path, **options: str) -> LaunchPlan:
    return LaunchPlan("colours", url, folder, "cpu", Placement("slurm", options=options))


def test_without_submitit_it_is_reported_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    url = f"sqlite:///{tmp_path}/store-of-secrets.db"
    run_study(study_file, trials=1, storage=url, report=False)
    engine = connection.connect(url)
    with engine.begin() as link:
        link.exec_driver_sql("UPDATE ft_study SET target = 3")
    place = Slurm(launch_plan(url, tmp_path / "runs" / "colours", cluster="local", timeout_min="5"))
    place.start(2)
    assert [job.result() for job in place.jobs] == [0, 0]
    assert reading.progress(engine, "colours").finished == 3
    assert launchers.launcher_of("slurm").is_detached
    left = [path for path in (tmp_path / "runs" / "colours" / "slurm").rglob("*") if path.is_file()]
    assert len(left) >= 4  # two pickled calls, two results, logs
    assert not any(b"store-of-secrets" in path.read_bytes() for path in left)
    assert "FTSEARCH_STORAGE" not in os.environ
    engine.dispose()


def test_what_waits_in_a_job_for_its_worker_loads_no_torch() -> None:
    program = "import sys, search.workers.launchers.slurm; sys.exit('torch' in sys.modules or 'optuna' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


SBATCH = """#!/bin/sh
printf '%s' "$FTSEARCH_STORAGE" > {root}/environment
printf '%s' "$*" > {root}/arguments
echo Submitted batch job 7
"""
URL = "postgresql://bob:hunter2@db.example/studies"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an ``sbatch`` that records its arguments."""
    pytest.importorskip("submitit")
    for name in ("sbatch", "srun"):
        (tmp_path / "bin" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(SBATCH.format(root=tmp_path))
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.delenv("FTSEARCH_STORAGE", raising=False)
    return tmp_path


@pytest.mark.parametrize("before", [None, "sqlite:///mine.db"])
def test_a_password_reaches_slurm_by_the_environment_alone(
    cluster: Path, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    if before is not None:
        monkeypatch.setenv("FTSEARCH_STORAGE", before)
    Slurm(launch_plan(URL, cluster / "runs")).start(2)
    assert (cluster / "environment").read_text() == URL
    assert os.environ.get("FTSEARCH_STORAGE") == before
    folder = cluster / "runs" / "slurm"
    left = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert any(path.suffix == ".pkl" for path in left)
    assert not any(b"hunter2" in path.read_bytes() for path in [*left, cluster / "arguments"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


NEIGHBOURS = [
    "postgresql://db.example/studies?user=bob&password=hunter2",
    "postgresql://bob:p%40hunter2@db.example/studies?sslmode=verify-full&sslpassword=hunter2",
    "mysql+pymysql://db.example/studies?ssl_key=/k.pem&ssl_key_password=hunter2",
]
"""URLs that hold a password in other places."""


@pytest.mark.parametrize("url", NEIGHBOURS)
def test_no_password_of_a_url_is_left_in_a_file(cluster: Path, url: str) -> None:
    Slurm(launch_plan(url, cluster / "runs")).start(2)
    assert (cluster / "environment").read_text() == url
    left = [path for path in (cluster / "runs").rglob("*") if path.is_file() and not path.is_symlink()]
    assert any(path.suffix == ".pkl" for path in left)
    assert not any(b"hunter2" in path.read_bytes() for path in [*left, cluster / "arguments"])


@pytest.mark.parametrize("url", [URL, *NEIGHBOURS])
def test_what_a_cluster_says_of_a_refused_job_shows_no_password(cluster: Path, url: str) -> None:
    (cluster / "bin" / "sbatch").write_text('#!/bin/sh\necho "no room for $FTSEARCH_STORAGE" >&2\nexit 1\n')
    with pytest.raises(UserError, match="no room for ") as refused:
        Slurm(launch_plan(url, cluster / "runs")).start(1)
    shown = "".join(traceback.format_exception(refused.value))
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in shown


def test_the_folder_of_pickles_is_closed_even_if_it_was_open(cluster: Path) -> None:
    (cluster / "runs" / "slurm").mkdir(parents=True)
    (cluster / "runs" / "slurm").chmod(0o777)
    Slurm(launch_plan(URL, cluster / "runs")).start(1)
    assert stat.S_IMODE((cluster / "runs" / "slurm").stat().st_mode) == 0o700


def test_after_a_refused_submission_the_environment_is_as_before(cluster: Path) -> None:
    (cluster / "bin" / "sbatch").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(UserError, match="the job array was not accepted"):
        Slurm(launch_plan(URL, cluster / "runs")).start(1)
    assert "FTSEARCH_STORAGE" not in os.environ


def test_a_job_that_was_not_given_the_storage_url_does_not_start_a_store_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("FTSEARCH_STORAGE", raising=False)
    with pytest.raises(RunError, match=r"FTSEARCH_STORAGE did not reach the job; submit with `--export=ALL`"):
        slurm._work(["-c", "pass"], ("FTSEARCH_STORAGE",))
    monkeypatch.setenv("FTSEARCH_STORAGE", URL)
    assert slurm._work(["-c", f"import os, sys; sys.exit(os.environ['FTSEARCH_STORAGE'] != {URL!r})"], ()) == 0


def test_a_detached_engine_is_started_and_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    monkeypatch.setattr(Slurm, "start", lambda self, count: started.append(count))
    engine = connection.connect(f"sqlite:///{tmp_path}/store.db")
    launchers.run_workers(launch_plan("sqlite:///s.db", tmp_path), 3, engine, Silent(), StopSignal())
    assert started == [3]
    engine.dispose()
