"""CPU seconds of a tree are all counted, and the limit holds for all of it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest
from quality.accounting import Spent, run
from quality.ours import by_part

BUSY = "import time\nwhile time.process_time() < {}: pass\n"


def test_a_child_that_is_waited_for_counts(tmp_path: Path) -> None:
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY.format(0.5)!r}])"
    spent = run([sys.executable, "-c", child + "\n" + BUSY.format(0.4)], limit_s=20, folder=tmp_path, environment={})
    assert (spent.code, spent.killed) == (0, False)
    assert 0.85 < spent.cpu_s < 1.6


def test_a_process_that_is_left_behind_counts_and_does_not_stay(tmp_path: Path) -> None:
    child = BUSY.format(0.7) + "open('done', 'w').close(); time.sleep(60)"
    program = (
        f"import os, subprocess, sys, time; print(subprocess.Popen([sys.executable, '-c', {child!r}]).pid)\n"
        "while not os.path.exists('done'): time.sleep(0.1)\ntime.sleep(1)"
    )
    spent = run([sys.executable, "-c", program], limit_s=20, folder=tmp_path, environment={})
    assert spent.cpu_s > 0.65
    assert _is_gone(int(spent.output))


def test_the_whole_tree_is_killed_beyond_its_limit(tmp_path: Path) -> None:
    child = BUSY.format(60)
    program = (
        f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "print(child.pid, flush=True); child.wait()"
    )
    spent = run([sys.executable, "-c", program], limit_s=0.5, folder=tmp_path, environment={})
    assert spent.killed
    assert spent.code != 0
    assert 0.5 < spent.cpu_s < 5
    assert _is_gone(int(spent.output))


def test_the_clock_of_ftsearch_counts_cpu_seconds(tmp_path: Path) -> None:
    program = (
        "import time\nfrom quality import cpu_clock\nfirst = cpu_clock.cpu_seconds()\ntime.sleep(1)\n"
        "slept = cpu_clock.cpu_seconds() - first\nend = time.process_time() + 0.5\n"
        "while time.process_time() < end: pass\nprint(slept, cpu_clock.cpu_seconds() - first - slept)"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parents[1])}
    spent = run([sys.executable, "-c", program], limit_s=20, folder=tmp_path, environment=environment)
    slept, worked = map(float, spent.output.split())
    assert 0 < slept < 0.3
    assert 0.5 < worked < 1.0


def test_output_errors_and_environment(tmp_path: Path) -> None:
    program = "import os, sys; print(os.environ['GIVEN']); sys.exit('no')"
    spent = run([sys.executable, "-c", program], limit_s=20, folder=tmp_path, environment={"GIVEN": "yes"})
    assert (spent.output.strip(), spent.errors.strip(), spent.code) == ("yes", "no", 1)


SPENT = Spent(8.0, 10.0, 0, False, "", "", ((100.0, 0.0), (104.0, 4.0), (106.0, 4.0), (110.0, 8.0)))


@pytest.mark.parametrize(("moment", "cpu_s"), [(90.0, 0.0), (100.0, 0.0), (102.0, 2.0), (105.0, 4.0), (200.0, 8.0)])
def test_cpu_seconds_by_a_moment(moment: float, cpu_s: float) -> None:
    assert SPENT.cpu_at(moment) == pytest.approx(cpu_s)


def test_every_second_of_a_run_belongs_to_one_part() -> None:
    parts = by_part(SPENT, [("complete", 102.0, 104.0), ("pruned", 107.0, 108.0)])
    assert parts == pytest.approx({"start": 2.0, "complete": 2.0, "between": 1.0, "pruned": 1.0, "end": 2.0})
    assert sum(parts.values()) == pytest.approx(SPENT.cpu_s)


def test_trials_at_one_time_share_what_they_took() -> None:
    parts = by_part(SPENT, [("complete", 100.0, 104.0), ("failed", 102.0, 110.0)])
    assert parts == pytest.approx({"complete": 3.0, "failed": 5.0})


def test_a_run_without_trials_is_all_start() -> None:
    assert by_part(SPENT, []) == pytest.approx({"start": 8.0})


def _is_gone(pid: int) -> bool:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False
