from __future__ import annotations

from pathlib import Path

import pytest

from search import api
from search.engines.local import Local, run_processes
from search.errors import RunError
from search.store import connection
from search.worker import Leaving


def test_workers_that_all_fail_are_told_with_their_log(
    study_file: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path}/store.db"
    api.run_study(study_file, trials=1, storage=url, report=False)
    folder.rename(tmp_path / "moved")
    engine = connection.connect(url)
    with pytest.raises(RunError, match=r"all 2 workers failed.*does not exist"):
        run_processes("colours", url, tmp_path, 2, "cpu", engine, api.Silent(), Leaving())
    assert "does not exist" in (tmp_path / "worker-0.log").read_text()
    engine.dispose()


def test_the_storage_url_is_in_no_command_line(tmp_path: Path) -> None:
    local = Local("s", "postgresql://me:secret@127.0.0.1:1/x", tmp_path, "cpu")
    local.start(1)
    (child,) = local._children
    assert "secret" not in " ".join(map(str, child.args))  # type: ignore[arg-type]
    local.stop()
    assert local.alive() == 0
