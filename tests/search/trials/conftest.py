"""A study that is open and ready to run trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from search.artifacts.stores import Folder
from search.records.study import StudyRecord
from search.runtime.study_record import study_record
from search.runtime.study_runtime import open_runtime
from search.spec.load import load_spec
from search.store import connection, leases, migrate, reading, writing
from search.trials import trial
from search.trials.context import TrialContext
from search.workers.options import RunOptions
from search.workers.shutdown import StopSignal
from search.workers.worker import open_context


@contextmanager
def ready(study_file: Path, tmp_path: Path) -> Iterator[TrialContext]:
    """Give the study in ``study_file``, entered into a store of its own and ready to run trials."""
    url = f"sqlite:///{tmp_path}/store.db"
    engine = connection.connect(url)
    migrate.upgrade(engine)
    runtime = open_runtime(load_spec(study_file), "cpu")
    writing.create_study(engine, study_record(runtime))
    place = Folder(tmp_path / "out")
    opened = open_context(
        runtime, engine, RunOptions(storage=url), tmp_path, StopSignal(), artifact_store=place, key="0123456789abcdef"
    )
    with opened as found:
        yield found
    engine.dispose()


@pytest.fixture
def context(study_file: Path, tmp_path: Path) -> Iterator[TrialContext]:
    with ready(study_file, tmp_path) as found:
        yield found


@pytest.fixture
def weighing(study_file: Path, tmp_path: Path) -> Iterator[TrialContext]:
    """A study that weighs accuracy against parameters, under a constraint that the plain recipe breaks."""
    study_file.write_text(
        study_file.read_text().replace("trials: 2", "trials: 6")
        + "objectives: [accuracy, parameters, train_seconds]\nconstraints: {parameters: < 700k}\nkeep_checkpoints: 1\n"
    )
    with ready(study_file, tmp_path) as found:
        yield found


@pytest.fixture
def run_all() -> Callable[[TrialContext, int], StudyRecord]:
    """Runs so many trials one after another and returns the study."""

    def run(context: TrialContext, count: int) -> StudyRecord:
        for _ in range(count):
            claim = leases.claim(context.engine, "colours", "w", 60)
            assert claim is not None
            trial.run(context, claim)
        return reading.load_study(context.engine, "colours")

    return run
