"""Real processes, real databases, trials that take no time: every trial once, every epoch once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from sqlalchemy import create_engine, text

INSTANT = Path(__file__).parents[2] / "benchmarks" / "instant.py"


def instant(*arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(INSTANT), *map(str, arguments)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Return the numbers of the trials that the processes say they have ended."""
    outputs = [process.communicate(timeout=280) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), [
        error[-2000:] for _, error in outputs
    ]
    return [line.split()[0] for out, _ in outputs for line in out.splitlines()]


@pytest.mark.parametrize(
    ("workers", "trials", "pruner"),
    [(3, 45, "median"), pytest.param(8, 200, "none", marks=pytest.mark.slow)],
)
def test_processes_share_a_study_exactly(url: str, tmp_path: Path, workers: int, trials: int, pruner: str) -> None:
    workers = min(workers, 4) if url.startswith("sqlite") else workers
    finished([instant("create", url, "s", trials, epochs=5, sampler="tpe", pruner=pruner)])
    numbers = finished([instant("work", url, "s", folder=tmp_path / "kept") for _ in range(workers)])
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
