from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from search.errors import LeaseLostError
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


class Kernel:
    """What ``/proc`` says of the time, as the tests want it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self.uptime, self.boot_time, self.boot = 1000.0, 1_800_000_000, "first"
        (folder / "pid").symlink_to("pid:[4026531836]")
        for name, value in (("_UPTIME", "uptime"), ("_STAT", "stat"), ("_BOOT", "boot_id"), ("_PROCESSES", "pid")):
            monkeypatch.setattr(machine_clock, name, folder / value)
        monkeypatch.setattr(machine_clock.time, "time", lambda: 0.0)  # the process's own, set wrong
        self.tell()

    def tell(self, passed: float = 0.0, *, set_by: int = 0) -> None:
        """Let seconds pass, and let somebody set the machine's clock forward or back, which moves its boot time."""
        self.uptime += passed
        self.boot_time += set_by
        (self._folder / "uptime").write_text(f"{self.uptime:.2f} 1.00\n")
        (self._folder / "stat").write_text(f"cpu 1 2\nbtime {self.boot_time}\nprocesses 3\n")
        (self._folder / "boot_id").write_text(f"{self.boot}\n")

    def reboot(self, off_s: float) -> None:
        self.boot_time, self.boot = int(self.boot_time + self.uptime + off_s), "second"
        self.uptime = 0.0
        self.tell(5)

    def in_container(self, age: float) -> None:
        """Be in a container that is ``age`` old and whose ``/proc`` says so."""
        (self._folder / "pid").unlink()
        (self._folder / "pid").symlink_to("pid:[4026531999]")
        self.boot_time, self.uptime = int(self.boot_time + self.uptime - age), age
        self.tell()


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    (tmp_path / "proc").mkdir()
    return Kernel(tmp_path / "proc", monkeypatch)


@pytest.fixture
def worker(tmp_path: Path, record: StudyRecord) -> Iterator[Callable[[], Engine]]:
    """Connect as one more worker of the same study of one trial, each with connections of its own."""
    engines = []

    def connected() -> Engine:
        engines.append(connection.connect(f"sqlite:///{tmp_path}/store.db"))
        if len(engines) == 1:
            migrate.upgrade(engines[0])
            writing.create_study(engines[0], replace(record, target=1))
        return engines[-1]

    yield connected
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize("set_by", [3600, -3600, 86_400 * 400, -86_400 * 400])
def test_a_clock_that_is_set_takes_no_trial_from_a_worker_and_keeps_none_for_a_dead_one(
    kernel: Kernel, worker: Callable[[], Engine], set_by: int
) -> None:
    own = worker()
    claim = leases.claim(own, "s", "w", 60)
    assert claim is not None
    kernel.tell(10, set_by=set_by)  # between claim and heartbeat
    other = worker()
    for engine in (own, other):
        assert leases.claim(engine, "s", "other", 60) is None
        assert not leases.is_work_left(engine, "s")
    assert leases.beat(own, "s", "w", [claim], 60) == leases.Beat(frozenset(), stopping=False)
    kernel.tell(50, set_by=-2 * set_by)  # between heartbeat and takeover
    assert leases.claim(other, "s", "other", 60) is None
    leases.renew(other, claim, 60)
    kernel.tell(61)  # now it is silent
    assert leases.is_work_left(other, "s")
    taken = leases.claim(worker(), "s", "third", 60)
    assert taken is not None
    assert (taken.number, taken.attempt) == (claim.number, 2)


def test_a_worker_that_slept_beyond_its_lease_writes_nothing_more(kernel: Kernel, worker: Callable[[], Engine]) -> None:
    asleep, awake = worker(), worker()
    claim = leases.claim(asleep, "s", "asleep", 60)
    assert claim is not None
    kernel.tell(3600, set_by=-3600)  # the machine was suspended, and its clock set to when that was
    taken = leases.claim(awake, "s", "awake", 60)
    assert taken is not None
    assert taken.number == claim.number
    assert leases.beat(asleep, "s", "asleep", [claim], 60).lost == {claim.trial_id}
    for write in (lambda: leases.renew(asleep, claim, 60), lambda: leases.release(asleep, claim)):
        with pytest.raises(LeaseLostError, match="another worker has taken it over"):
            write()
    assert leases.beat(awake, "s", "awake", [taken], 60).lost == frozenset()


def test_a_worker_that_slept_and_was_not_missed_goes_on(kernel: Kernel, worker: Callable[[], Engine]) -> None:
    engine = worker()
    claim = leases.claim(engine, "s", "w", 60)
    assert claim is not None
    kernel.tell(3600)
    assert leases.beat(engine, "s", "w", [claim], 60).lost == frozenset()
    assert leases.claim(worker(), "s", "other", 60) is None


@pytest.mark.parametrize("off_s", [0.0, 3600.0])
def test_leases_end_with_the_boot_they_are_of(kernel: Kernel, worker: Callable[[], Engine], off_s: float) -> None:
    claim = leases.claim(worker(), "s", "w", 60)
    assert claim is not None
    kernel.reboot(60 + off_s)
    taken = leases.claim(worker(), "s", "other", 60)
    assert taken is not None
    assert taken.number == claim.number
    kernel.tell(set_by=7200)
    assert leases.claim(worker(), "s", "third", 60) is None


def test_a_container_with_seconds_of_its_own_goes_by_the_time_of_day(
    kernel: Kernel, worker: Callable[[], Engine]
) -> None:
    claim = leases.claim(worker(), "s", "w", 60)
    assert claim is not None
    kernel.in_container(7)
    inside = worker()
    assert leases.claim(inside, "s", "inside", 60) is None
    kernel.tell(61)
    assert leases.claim(inside, "s", "inside", 60) is not None


def test_processes_that_connect_at_once_agree_on_one_moment(tmp_path: Path, kernel: Kernel) -> None:
    path = tmp_path / "store.db"
    links = [sqlite3.connect(path, isolation_level=None) for _ in range(3)]
    first = machine_clock.steady(links[0], may_write=True)
    kernel.tell(1, set_by=100)
    assert machine_clock._put(links[1], machine_clock._boot(), machine_clock._boot_time()) == 1_800_000_000
    second = machine_clock.steady(links[1], may_write=True)
    reader = machine_clock.steady(sqlite3.connect(f"file:{path}?mode=ro", uri=True), may_write=False)
    assert first() == second() == reader() == 1_800_001_001
    assert machine_clock.now() == first() + 100
    links[2].execute("PRAGMA application_id=1")
    assert machine_clock.steady(links[2], may_write=False)() == machine_clock.now()
    for link in links:
        link.close()


def test_a_header_that_cannot_be_written_now_is_no_fault(tmp_path: Path, kernel: Kernel) -> None:
    busy, link = (sqlite3.connect(tmp_path / "store.db", isolation_level=None, timeout=0.01) for _ in range(2))
    busy.execute("BEGIN IMMEDIATE")
    assert machine_clock.steady(link, may_write=True)() == machine_clock.now()
    busy.execute("ROLLBACK")
    assert machine_clock.steady(link, may_write=True)() == machine_clock.now()
    kernel.tell(set_by=50)
    assert machine_clock.steady(link, may_write=True)() == machine_clock.now() - 50
    (tmp_path / "proc" / "boot_id").unlink()  # a kernel, or a sandbox, that does not tell
    assert machine_clock.steady(link, may_write=True)() == machine_clock.now()


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
