from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from search.records.study import StudyRecord
from search.store import connection, leases, machine_clock, migrate, readonly, workers, writing

PROC = pytest.mark.skipif(not machine_clock._UPTIME.exists(), reason="no /proc here")


@PROC
def test_it_reads_the_time_and_advances() -> None:
    first = machine_clock.now()
    assert first == pytest.approx(time.time(), abs=3)
    time.sleep(0.3)
    assert machine_clock.now() - first == pytest.approx(0.3, abs=0.25)


@PROC
def test_all_processes_read_the_same() -> None:
    program = "import time; time.time = lambda: 0.0\nfrom search.store import machine_clock\nprint(machine_clock.now())"
    before = machine_clock.now()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert before <= float(done.stdout) <= machine_clock.now()


@pytest.mark.parametrize("content", [None, "", "nonsense"])
def test_without_the_kernels_word_it_is_the_processs_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "uptime").write_text(content)
    monkeypatch.setattr(machine_clock, "_UPTIME", tmp_path / "uptime")
    monkeypatch.setattr(machine_clock.time, "time", lambda: 123.0)
    assert machine_clock.now() == 123.0


def test_leases_on_sqlite_go_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: StudyRecord) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    engine = connection.connect(url)
    migrate.upgrade(engine)
    writing.create_study(engine, record)
    workers.enter(engine, "s", "w", host="h", process=1, device="cpu")
    claim = leases.claim(engine, "s", "w", 60)
    assert claim is not None
    monkeypatch.setattr(machine_clock.time, "time", lambda: 0.0)  # a process whose clock is set wrong
    leases.renew(engine, claim, 60)
    again = leases.claim(engine, "s", "other", 60)
    assert again is not None
    assert again.number != claim.number
    looking = readonly.connect(url)
    with looking.connect() as link:
        assert link.execute(select(leases.clock())).scalar_one() == pytest.approx(machine_clock.now(), abs=1)
    assert workers.present(looking, "s")[0].silent_s < 5
    uptime = tmp_path / "uptime"
    uptime.write_text(f"{float(machine_clock._UPTIME.read_text().split()[0]) + 61} 0.0")
    monkeypatch.setattr(machine_clock, "_UPTIME", uptime)  # a minute passes for all of them
    leases.reap(engine, "s")
    taken = leases.claim(engine, "s", "third", 60)
    assert taken is not None
    assert taken.number == claim.number
    looking.dispose()
    engine.dispose()
