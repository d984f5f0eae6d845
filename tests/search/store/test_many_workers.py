"""Real processes, real databases, trials that take no time: every trial once, every epoch once."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import optuna
import pytest
from sqlalchemy import create_engine, text

INSTANT = Path(__file__).parents[2] / "benchmarks" / "instant.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """The program of instant trials, as a module."""
    spec = importlib.util.spec_from_file_location("instant", INSTANT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["instant"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def work(url: str, folder: Path, **options: object) -> subprocess.Popen[str]:
    """Start a worker of the study ``s``, or several ``processes`` of them."""
    command = [sys.executable, str(INSTANT), "work", url, "s", "--folder", str(folder)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> list[str]:
    """Return the numbers of the trials that the workers say they have ended."""
    output, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors[-4000:]
    return [line.split()[0] for line in output.splitlines()]


@pytest.mark.parametrize(
    ("workers", "trials", "pruner"),
    [(3, 24, "median"), pytest.param(8, 200, "none", marks=pytest.mark.slow)],
)
def test_processes_share_a_study_exactly(
    benchmark: ModuleType, url: str, tmp_path: Path, workers: int, trials: int, pruner: str
) -> None:
    workers = min(workers, 4) if url.startswith("sqlite") else workers
    benchmark.create(url, "s", trials, epochs=5, sampler="tpe", pruner=pruner)
    numbers = finished(work(url, tmp_path / "kept", processes=workers))
    assert sorted(map(int, numbers)) == list(range(trials))

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
    told = optuna.load_study(study_name="s", storage=storage).get_trials(deepcopy=False)
    assert sorted(trial.number for trial in told) == list(range(trials))
    assert all(trial.state.is_finished() for trial in told)
    storage.engine.dispose()


def test_a_stopped_process_hands_its_trial_back_and_one_that_slept_writes_nothing(
    benchmark: ModuleType, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    benchmark.create(url, "s", 2, epochs=8)
    told = work(url, tmp_path / "kept", seconds=0.3)
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
    told.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    told.communicate(timeout=60)
    assert told.returncode == 0
    assert time.monotonic() - begin < 10
    assert epochs()[0][1] == "waiting"

    sleeper = work(url, tmp_path / "kept", seconds=0.3, lease=1.5)
    until(0, epochs()[0][2] + 2)
    sleeper.send_signal(signal.SIGSTOP)
    heir = work(url, tmp_path / "kept", lease=1.5)
    assert sorted(finished(heir)) == ["0", "1"]
    sleeper.send_signal(signal.SIGCONT)
    output, errors = sleeper.communicate(timeout=60)
    assert (sleeper.returncode, output) == (0, ""), errors
    assert epochs() == [(0, "complete", 8), (1, "complete", 8)]
    engine.dispose()
