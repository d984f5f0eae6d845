"""Real processes, real databases, trials that take no time: every trial once, every epoch once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import optuna
import pytest
from by_path import module_at
from sqlalchemy import create_engine, text

INSTANT = Path(__file__).parents[2] / "benchmarks" / "instant.py"


@pytest.fixture(scope="module")
def benchmark() -> Any:
    """The program of instant trials, as a module."""
    return module_at("benchmarks/instant.py")


Work = Callable[..., BaseProcess]


@pytest.fixture
def work(start_program: Callable[..., BaseProcess], tmp_path: Path) -> Work:
    """Starts a worker of the study ``s``, or several ``processes`` of them, which print into a file of its name."""
    program = f"import runpy\nrunpy.run_path({str(INSTANT)!r}, run_name='__main__')\n"

    def start(url: str, name: str = "work", **options: object) -> BaseProcess:
        words = [word for option, value in options.items() for word in (f"--{option}", value)]
        folder = tmp_path / "kept"
        return start_program(program, "work", url, "s", "--folder", folder, *words, output=tmp_path / f"{name}.txt")

    return start


def ended(process: BaseProcess, output: Path) -> list[int]:
    """Return the numbers of the trials that the workers say they have ended."""
    process.join(280)
    assert process.exitcode == 0, output.with_suffix(".err").read_text()[-4000:]
    return sorted(int(line.split()[0]) for line in output.read_text().splitlines())


@pytest.mark.parametrize(
    ("workers", "trials", "pruner"),
    [(3, 14, "median"), pytest.param(8, 200, "none", marks=pytest.mark.slow)],
)
def test_processes_share_a_study_exactly(
    benchmark: Any, work: Work, url: str, tmp_path: Path, workers: int, trials: int, pruner: str
) -> None:
    workers = min(workers, 4) if url.startswith("sqlite") else workers
    benchmark.create(url, "s", trials, epochs=5, sampler="tpe", pruner=pruner)
    assert ended(work(url, processes=workers), tmp_path / "work.txt") == list(range(trials))

    engine = create_engine(url)
    with engine.connect() as link:
        states = dict(map(tuple, link.execute(text("SELECT state, count(*) FROM ft_trial GROUP BY state"))))
        attempts = link.execute(text("SELECT max(attempts), max(lost) FROM ft_trial")).one()
        epochs = link.execute(text("SELECT count(*), max(epoch) FROM ft_epoch")).one()
        whole = link.execute(
            text(
                "SELECT count(*) FROM ft_trial t WHERE t.state = 'complete' AND "
                "(SELECT count(*) FROM ft_epoch e WHERE e.trial_id = t.id) = 5"
            )
        ).scalar()
        left = link.execute(text('SELECT count(*) FROM ft_worker WHERE "left" IS NULL')).scalar()
    engine.dispose()
    assert sum(states.values()) == trials
    assert set(states) <= {"complete", "pruned"}
    assert tuple(attempts) == (1, 0)
    assert whole == states["complete"]
    assert epochs[1] == 5
    if pruner == "none":
        assert epochs[0] == 5 * trials
    assert left == 0

    storage = optuna.storages.RDBStorage(url)
    optunas = optuna.load_study(study_name="s", storage=storage).get_trials(deepcopy=False)
    assert sorted(trial.number for trial in optunas) == list(range(trials))
    assert all(trial.state.is_finished() for trial in optunas)
    storage.engine.dispose()


def test_a_stopped_process_hands_its_trial_back_and_one_that_slept_writes_nothing(
    benchmark: Any, work: Work, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    benchmark.create(url, "s", 2, epochs=8)
    stopped = work(url, "stopped", seconds=0.3)
    engine = create_engine(url)

    def epochs() -> list[tuple[int, str, int]]:
        query = "SELECT t.number, t.state, count(e.epoch) FROM ft_trial t LEFT JOIN ft_epoch e ON e.trial_id = t.id"
        with engine.connect() as link:
            return [tuple(row) for row in link.execute(text(f"{query} GROUP BY t.number, t.state ORDER BY t.number"))]

    def until(number: int, count: int) -> None:
        deadline = time.monotonic() + 120
        while not any(row[0] == number and row[2] >= count for row in epochs()):
            assert time.monotonic() < deadline, epochs()
            time.sleep(0.05)

    until(0, 2)
    stopped.terminate()
    begin = time.monotonic()
    assert ended(stopped, tmp_path / "stopped.txt") == [0]  # handed back
    assert time.monotonic() - begin < 10
    assert epochs()[0][1] == "waiting"

    sleeper = work(url, "sleeper", seconds=0.3, lease=1.5)
    until(0, epochs()[0][2] + 2)
    assert sleeper.pid is not None
    os.kill(sleeper.pid, signal.SIGSTOP)
    assert ended(work(url, "heir", lease=1.5), tmp_path / "heir.txt") == [0, 1]
    os.kill(sleeper.pid, signal.SIGCONT)
    assert ended(sleeper, tmp_path / "sleeper.txt") == []
    assert epochs() == [(0, "complete", 8), (1, "complete", 8)]
    engine.dispose()
