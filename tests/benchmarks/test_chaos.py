"""The fault run meets every point, and its checks see what is wrong: a run that cannot fail would say nothing."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from chaos import checks, strikes
from chaos.checks import Remains
from chaos.strikes import KILL, Plan
from sqlalchemy import update

from search.api import run_study
from search.store import connection
from search.store.connection import writing
from search.store.tables import EpochRow, TrialRow

PROGRAM = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from chaos import points, strikes
from search.artifacts import partial_files
from search.store import connection, migrate, leases, workers

points.install(strikes.Victim(Path(sys.argv[1])))
engine = connection.connect("sqlite:///" + sys.argv[2])
migrate.upgrade(engine)
leases.reap(engine, "nothing")
from search.data.assembly import note
note(Path(sys.argv[1]) / "notes" / "a", "x")
print("done")
"""


def test_points_are_before_and_after_what_is_written_and_a_fault_strikes_once(
    tmp_path: Path, start_program: Callable[..., BaseProcess]
) -> None:
    def come(name: str) -> tuple[int | None, str]:
        """Run a process that comes to points of transactions and files; return its exit code and output."""
        process = start_program(PROGRAM, tmp_path, tmp_path / "store.db", output=tmp_path / name)
        process.join(600)
        return process.exitcode, (tmp_path / name).read_text()

    plan = Plan(tmp_path, random.Random(0), has_server=False)
    plan._put("after replace in data.assembly.note", KILL)
    assert come("first.txt") == (-9, "")
    assert (tmp_path / "notes" / "a").read_text() == "x"  # after: it is there
    (strike,) = plan.look()
    assert (strike.fault, strike.point) == (KILL, "after replace in data.assembly.note")
    assert come("second.txt") == (0, "done\n")
    assert plan.look() == []
    met = set(plan.points)
    assert {f"{when} commit in store.migrate.upgrade" for when in ("before", "after")} <= met
    assert {
        f"{when} {what} in data.assembly.note" for when in ("before", "after") for what in ("fsync", "replace")
    } <= met
    assert not any("reap" in name or "current" in name for name in met), "a transaction that only reads is no point"


def test_every_point_is_to_meet_a_kill_and_every_write_a_full_disk(tmp_path: Path) -> None:
    plan = Plan(tmp_path, random.Random(1), has_server=True)
    names = ["before commit in a.b", "after commit in a.b", "before fsync in a.c", "after unlink in a.d"]
    (tmp_path / "passed").write_text("".join(f"{name}\n" for name in names))
    plan.look()
    assert {name for name, fault in plan.queue if fault == KILL} == set(names)
    assert {name for name, fault in plan.queue if fault == strikes.FULL} == {"before fsync in a.c"}
    assert {name for name, fault in plan.queue if fault == strikes.LOST} == {"after commit in a.b"}


def test_faults_wait_all_the_time_where_a_calm_run_seldom_came_and_elsewhere_by_turns(tmp_path: Path) -> None:
    census = strikes.Census()
    for name in ("before commit in a.begin", *[f"before commit in a.{n}" for n in range(30)] * 3, strikes.TRIAL_ENDED):
        census(name)
    for _ in range(3):
        for name in (*[f"before commit in a.{number}" for number in range(30)], strikes.TRIAL_ENDED):
            census(name)
    assert census.passed["before commit in a.begin"] == 1
    assert census.passed["before commit in a.7"] == 4
    plan = Plan(tmp_path, random.Random(0), has_server=False, known=census.passed)
    plan.place()
    assert len(plan.waiting) == plan.at_once + 1
    assert "before commit in a.begin" in plan.waiting
    plan.place(at_end=True)
    assert set(plan.waiting) == set(census.passed)


def test_a_part_of_a_studys_life_that_met_no_fault_and_a_point_that_met_no_kill_are_named(tmp_path: Path) -> None:
    known = {"before commit in store.leases._claim": 9, "after commit in store.leases._claim": 9}
    plan = Plan(tmp_path, random.Random(0), has_server=False, known=known)
    (tmp_path / "passed").write_text("".join(f"{name}\n" for name in known))
    (tmp_path / "strikes").write_text("1\tkill\tbefore commit in store.leases._claim\n")
    plan.look()
    assert {phase for phase, count in plan.by_phase().items() if count} == {"claim"}
    left = ["after commit in store.leases._claim"]
    assert plan.not_struck() == {"not come to": [], "come to, not struck": left}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Remains:
    """A small study that nobody disturbed, as the fault run leaves one."""
    import numpy as np
    from PIL import Image

    folder = tmp_path_factory.mktemp("chaos")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTSEARCH_CACHE", str(folder / "cache"))
        rng = np.random.default_rng(0)
        for kind, name in enumerate(("red", "green")):
            (folder / "data" / name).mkdir(parents=True)
            for number in range(12):
                pixels = rng.integers(0, 150, (16, 20, 3), dtype=np.uint8)
                pixels[..., kind] += 40
                Image.fromarray(pixels).save(folder / "data" / name / f"{number}.png")
        study = {
            "name": "chaos", "data": {"path": str(folder / "data"), "val_share": 0.3}, "backbone": "squeezenet1_1",
            "weights": "none", "input_size": 32, "training": {"epochs": 2}, "search": {"trials": 4},
            "keep_checkpoints": 2,
        }  # fmt: skip
        url = f"sqlite:///{folder}/store.db"
        run_study(study, storage=url, device="cpu", folder=folder / "runs", workers=1)
    (folder / "tmp").mkdir()
    return Remains(url, "chaos", folder / "runs" / "chaos", folder / "cache", folder / "tmp", 4, 2)


def test_an_undisturbed_study_has_nothing_wrong(done: Remains, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTSEARCH_CACHE", str(done.cache))
    assert checks.check(done) == []


def changed(done: Remains, **values: object) -> None:
    engine = connection.connect(done.url)
    with writing(engine) as link:
        link.execute(update(TrialRow).where(TrialRow.checkpoint.is_not(None)).values(**values))
    engine.dispose()


@pytest.mark.parametrize("path", ["runs/chaos/.partial-x", "runs/chaos/trial-00009-0000.safetensors",
    "runs/chaos/resume-0-00001/e.safetensors", "cache/decoded/.partial-y.npy", "cache/decoded/a.npy.lock",
    "tmp/ftsearch-int8-x/y"])  # fmt: skip
def test_a_file_too_many_is_named(done: Remains, path: str) -> None:
    left = done.place.parents[1] / path
    left.parent.mkdir(parents=True, exist_ok=True)
    left.touch()
    found = [*checks.files(done, done.study), *checks.cached(done, done.study)]
    left.unlink()
    if left.parent.name.startswith(("resume-", "ftsearch-")):
        left.parent.rmdir()
    assert any(left.name in line for line in found)


def test_a_missing_trial_a_gap_and_a_value_that_is_not_the_curves_are_seen(done: Remains) -> None:
    study = done.study
    trials = list(study.trials)
    gap = replace(trials[0], epochs=trials[0].epochs[1:] or (replace(trials[0].epochs[0], epoch=2),))
    for wrong, check in (
        (replace(study, trials=tuple(trials[1:])), checks.numbers_and_states),
        (replace(study, trials=(gap, *trials[1:])), checks.curves),
        (replace(study, trials=(replace(trials[0], value=0.123), *trials[1:])), checks.curves),
        (replace(study, trials=(replace(trials[0], params={"x": 1}), *trials[1:])), checks.sampler),
        (replace(study, trials=(replace(trials[0], value=0.123), *trials[1:])), checks.sampler),
        (replace(study, finals=()), checks.final_model),
    ):
        assert list(check(done, wrong)), (check.__name__, wrong)


def test_weights_that_do_not_give_their_value_are_seen(done: Remains, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTSEARCH_CACHE", str(done.cache))
    study = done.study
    kept = next(trial for trial in study.trials if trial.checkpoint)
    wrong = replace(kept, value=-1.0)
    trials = tuple(wrong if one.number == kept.number else one for one in study.trials)
    assert any("stored is -1.0" in line for line in checks.weights(done, replace(study, trials=trials)))
    assert list(checks.weights(replace(done, keep=1), study))  # one too many


def test_a_curve_of_other_draws_is_seen(done: Remains, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTSEARCH_CACHE", str(done.cache))
    changed(done, attempts=2)
    assert checks.replayed(done, 1) == (1, [])
    engine = connection.connect(done.url)
    with writing(engine) as link:
        link.execute(update(EpochRow).values(train_loss=EpochRow.train_loss + 1))
    count, lines = checks.replayed(done, 1)
    engine.dispose()
    assert (count, len(lines)) == (1, 1)


def test_a_process_that_stayed_is_seen(tmp_path: Path) -> None:
    start: Callable[..., subprocess.Popen[bytes]] = subprocess.Popen
    shell = ["sh", "-c", "sleep 30 & echo $!"]
    parent = start(shell, env=os.environ | {"CHAOS_FOLDER": str(tmp_path)}, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    left = int(parent.stdout.readline())
    parent.wait()
    try:
        assert [line.split()[0] for line in checks.processes_of(tmp_path, 0.0)] == [str(left)]
    finally:
        os.kill(left, 9)
        parent.stdout.close()
