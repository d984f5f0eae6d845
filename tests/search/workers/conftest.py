"""A study that is open and ready for a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from search.artifacts.stores import Folder
from search.runtime.study_record import study_record
from search.runtime.study_runtime import open_runtime
from search.spec.load import load_spec
from search.spec.study_spec import StudySpec
from search.store import connection, migrate, writing
from search.trials.context import TrialContext
from search.workers import worker
from search.workers.options import RunOptions
from search.workers.shutdown import StopSignal

Ready = Callable[..., TrialContext]


@pytest.fixture
def ready(study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ready]:
    """Opens the study in ``study_file``, changed by a function, on SQLite; waiting takes no time."""
    monkeypatch.setattr(worker, "POLL_S", 0.01)
    monkeypatch.setattr(worker, "_DISK_S", 0.01)
    url = f"sqlite:///{tmp_path}/store.db"
    engine = connection.connect(url)
    migrate.upgrade(engine)

    with ExitStack() as opened:

        def open_study(changed: Callable[[StudySpec], StudySpec], key: str = "0123456789") -> TrialContext:
            runtime = open_runtime(changed(load_spec(study_file)), "cpu")
            writing.create_study(engine, study_record(runtime))
            place, options = Folder(tmp_path / "kept"), RunOptions(storage=url)
            context = worker.open_context(
                runtime, engine, options, tmp_path, StopSignal(), artifact_store=place, key=key
            )
            return opened.enter_context(context)

        yield open_study
    engine.dispose()
